"""A service on a free loopback port of this process, as its clients see it: for tests over HTTP."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from actors.llm.sse import ServerSentEvent, SseDecoder
from actors.manager import SessionManager
from actors.settings import Settings
from serve_app.embedded import served

TIMEOUT_S = 20.0
"""Longest silence of the service in a test."""


@dataclass(frozen=True)
class Running:
    """A running service and a client of it."""

    url: str
    http: httpx.Client

    def create(self, session_id: str = "s", **config: Any) -> dict[str, Any]:
        """Create a session on ``scripted/prompt`` unless told otherwise."""
        body = {"session_id": session_id, "config": {"model": "scripted/prompt", **config}}
        response = self.http.post("/v1/sessions", json=body)
        assert response.status_code == 201, response.text
        return response.json()

    def ask(self, prompt: str, session_id: str = "s", **params: Any) -> httpx.Response:
        """Send an input and wait for its turn."""
        path = f"/v1/sessions/{session_id}/events"
        return self.http.post(path, params={"wait": "turn", **params}, json={"prompt": prompt})

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Generator[Generator[ServerSentEvent]]:
        """Open a stream of events."""
        with self.http.stream(method, path, **options) as response:
            assert response.status_code == 200, response.read()
            yield _events(response)


def _events(response: httpx.Response) -> Generator[ServerSentEvent]:
    decoder = SseDecoder("the service")
    for chunk in response.iter_bytes():
        yield from decoder.feed(chunk)


@contextmanager
def running(
    model: str | None = "scripted/prompt", api_keys: Iterable[str] = (), store: str = "memory:", **settings: Any
) -> Generator[Running]:
    """Run a service until the block ends."""
    keys = [SecretStr(key) for key in api_keys]

    def start() -> Awaitable[SessionManager]:
        return SessionManager.local(model, store=store, settings=Settings(**settings))

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with served(start, listener, keys), httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
            yield Running(url, http)
