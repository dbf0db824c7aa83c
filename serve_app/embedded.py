"""The whole service inside this process, for ``chat --local`` and for tests: a manager and a server in one thread."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from pydantic import SecretStr

from actors.errors import GreenroomError, InternalError
from actors.manager import SessionManager
from actors.settings import Settings
from serve_app.app import create_app
from serve_app.client import ServiceClient

START_TIMEOUT_S = 60.0
"""Longest start: it opens a store in memory and a socket."""

STOP_TIMEOUT_S = 10.0
"""Longest stop; after that the process ends anyway."""


@contextmanager
def embedded_service(model: str | None) -> Generator[ServiceClient]:
    """Run a service until the block ends, and give a client of it. It listens on a socket in a private directory.

    Args:
        model: The default model; the service's usual one when None.

    Raises:
        GreenroomError: it cannot start.
    """
    settings = Settings()

    def start() -> Awaitable[SessionManager]:
        return SessionManager.local(model or settings.service_model(), settings=settings)

    with tempfile.TemporaryDirectory(prefix="greenroom-") as directory:
        path = str(Path(directory) / "http.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            transport = httpx.HTTPTransport(uds=path)
            with served(start, listener), ServiceClient("http://localhost", transport=transport) as client:
                yield client


@contextmanager
def served(
    start: Callable[[], Awaitable[SessionManager]], listener: socket.socket, api_keys: Iterable[SecretStr] = ()
) -> Generator[None]:
    """Serve a manager on a bound socket until the block ends.

    Args:
        start: Makes the manager, in the thread that serves; it is closed there too.
        listener: Bound, and not listening yet.
        api_keys: See ``create_app``.
    """
    thread = _ServiceThread(start, listener, api_keys)
    thread.start()
    try:
        yield
    finally:
        thread.stop()


class _ServiceThread:
    def __init__(
        self, start: Callable[[], Awaitable[SessionManager]], listener: socket.socket, api_keys: Iterable[SecretStr]
    ) -> None:
        self._start = start
        self._listener = listener
        self._api_keys = tuple(api_keys)
        self._ready = threading.Event()
        self._failed: Exception | None = None
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="greenroom-embedded", daemon=True)

    def start(self) -> None:
        """Return when it serves."""
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise InternalError("the embedded service did not start in time")
        if isinstance(self._failed, GreenroomError):
            raise self._failed
        if self._failed is not None:
            raise InternalError(type(self._failed).__name__) from self._failed

    def stop(self) -> None:
        """End it, and wait for that."""
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._failed = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        async with await self._start() as manager:

            async def manager_of() -> SessionManager:
                return manager

            app = create_app(manager_of, self._api_keys)
            config = uvicorn.Config(
                app, log_config=None, access_log=False, ws="none", lifespan="off", timeout_graceful_shutdown=1
            )
            self._server = _Server(config, self._ready)
            await self._server.serve([self._listener])


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self._ready.set()
