"""One connection to one server, kept up: connected, listed, and connected anew when it is lost.

An owner task enters and leaves the SDK's client, as it has to be one task that does both; callers live in other tasks.
A lost connection is never mended: the next one is a new client, after a pause that doubles.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.domain.mcp import McpServerConfig, McpState, McpStatus, status_of
from actors.domain.mcp_oauth import DEFAULT_REDIRECT
from actors.domain.mcp_transports import HttpTransport, StdioTransport
from actors.mcp.consent import Consent
from actors.mcp.http import HttpWay
from actors.mcp.listing import Listing
from actors.mcp.open_calls import OpenCalls
from actors.mcp.problems import NotConnected, hidden, sentence
from actors.mcp.quiet import keep_quiet
from actors.mcp.roots import roots_of
from actors.mcp.sifting import sifted
from actors.mcp.stdio import EXIT_S, GONE_S, ServerProcess, stdio_transport

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CreateMessageRequestParams

BACK_OFF_FIRST_S: Final = 0.5
BACK_OFF_MAX_S: Final = 60.0
"""Bounds of the pause before a new connection; a server that was up for a minute begins at the first again."""

CLOSE_S: Final = EXIT_S + GONE_S + 1.0
"""Longest wait for a server to be gone."""

HANDSHAKE_READ_S: Final = 10.0
"""Longest wait for one answer while connecting: a server of the older protocol may be silent at the first question."""


MAX_LEARNED: Final = 64
"""Secrets that came to be known while it was used: a token in time makes way for the one after the next."""


class Line(NamedTuple):
    """A connection while it lasts. ``lost``: it does not any more."""

    client: Client
    lost: asyncio.Event


class McpConnection:
    """Keeps one server connected.

    Args:
        directory: Where a stdio server starts that names no directory.
        environment: Variables for a stdio server beside those of its configuration.
        changed: Called when its state, or its list of tools, has changed.
        withhold: Told of the secrets that have come to be known, as often as there is another.
        redirect_uri: Where browsers come back to that visit its authorization page.
        back_off_s: The first pause before a new connection.
        workspace: What it is told as its root, when it is configured so.
    """

    def __init__(
        self,
        config: McpServerConfig,
        directory: str,
        environment: dict[str, str],
        changed: Callable[[], None],
        withhold: Callable[[Iterable[str]], None] = lambda secrets: None,
        redirect_uri: str = DEFAULT_REDIRECT,
        back_off_s: float = BACK_OFF_FIRST_S,
        workspace: str = "/",
    ) -> None:
        self.config = config
        self.workspace = workspace
        self.secrets = config.secrets
        self.open_calls = OpenCalls(lambda: self.secrets)
        self.consent = Consent(self.open_calls, self._consenting)
        self.listing = Listing(config, changed, lambda: self.secrets)
        self.tries = 0
        self._directory = directory
        self._environment = environment
        self._learned: deque[str] = deque(maxlen=MAX_LEARNED)
        self._withhold = withhold
        if isinstance(config.transport, HttpTransport):
            self._way = HttpWay(config.transport, config.oauth, self.consent, redirect_uri, self._learn)
        self._changed = changed
        self._first_pause_s = back_off_s
        self._state = McpState.connecting if config.enabled else McpState.disabled
        self._error: str | None = None
        self._line: Line | None = None
        self._lost = asyncio.Event()
        self._settled = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to connect, when the server is enabled."""
        if self.config.enabled and self._owner is None:
            self._owner = asyncio.get_running_loop().create_task(self._own(), context=contextvars.Context())
        elif not self.config.enabled:
            self._settled.set()

    async def first(self) -> None:
        """Wait until the first attempt to connect has come to something."""
        await self._settled.wait()

    async def close(self) -> None:
        """Leave the server, and end it when it is a child process; within about 10 s."""
        self._closing = True
        self.consent.close()
        self._lost.set()
        if self._owner is not None:
            if self._line is None:
                self._owner.cancel()
            await asyncio.wait([self._owner], timeout=CLOSE_S)

    @property
    def status(self) -> McpStatus:
        """How it stands."""
        client = self._line.client if self._line is not None else None
        waits = client is None and self.consent.url is not None
        info = client.server_info if client is not None else None
        return status_of(
            self.config,
            McpState.needs_authorization if waits else self._state,
            protocol=client.protocol_version if client is not None else None,
            server=hidden(f"{info.name} {info.version}", self.secrets)[:200] if info is not None else None,
            tool_count=len(self.listing.published.definitions),
            tools_left_out=self.listing.published.left_out,
            error=self._error,
            authorization_url=self.consent.url,
        )

    @property
    def why_lost(self) -> str:
        """What is known of why the connection was lost, to go on a sentence with."""
        return f": {self._error}" if self._error else ""

    @property
    def modern(self) -> bool:
        """Whether the server keeps nothing between calls: what it asks is answered by calling it again."""
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        return self._line is not None and self._line.client.protocol_version in MODERN_PROTOCOL_VERSIONS

    async def _own(self) -> None:
        pause = self._first_pause_s
        while not self._closing:
            begun = asyncio.get_running_loop().time()
            self.tries += 1
            error = await self._hold()
            if self._closing:
                return
            self._error = error
            self._turn(McpState.reconnecting)
            if asyncio.get_running_loop().time() - begun >= BACK_OFF_MAX_S:
                pause = self._first_pause_s
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(pause * 2, BACK_OFF_MAX_S)

    def _learn(self, secret: str) -> None:
        if secret and secret not in self.secrets:
            self._learned.append(secret)
            self.secrets = tuple(sorted({*self.config.secrets, *self._learned}, key=len, reverse=True))
            self._withhold(self._learned)

    def _consenting(self) -> None:
        self._settled.set()
        self._changed()

    def _turn(self, state: McpState) -> None:
        self._state = state
        self._settled.set()
        self._changed()

    async def _hold(self) -> str:
        """Connect and stay connected; returns why it is over. Whatever the SDK raises stays in here."""
        self._lost = asyncio.Event()
        transport = self.config.transport
        process: ServerProcess | None = None
        if isinstance(transport, StdioTransport):
            variables = {name: value.get_secret_value() for name, value in self.config.env.items()}
            argv = (transport.command, *transport.args)
            process = ServerProcess(argv, transport.cwd or self._directory, variables | self._environment)
        why: BaseException | None = None
        try:
            await self._connected(process)
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            why = exc  # The SDK tears a broken connection down by cancelling who holds it.
        except (Exception, BaseExceptionGroup) as exc:
            why = exc
        finally:
            self._line = None
            self._lost.set()
        return sentence(why, process, self.secrets)

    async def _connected(self, process: ServerProcess | None) -> None:
        from mcp import Client
        from mcp_types import Implementation

        keep_quiet()
        target: Any = stdio_transport(process) if process is not None else self._way.open()

        async def sample(context: Any, params: CreateMessageRequestParams) -> Any:
            return await self.open_calls.asked_model(params, self.config)

        async def roots(context: Any) -> Any:
            return roots_of(self.workspace)

        client = Client(
            sifted(target),
            read_timeout_seconds=HANDSHAKE_READ_S,
            message_handler=self._told,
            elicitation_callback=lambda context, params: self.open_calls.asked(params),
            sampling_callback=sample if self.config.sampling != "deny" else None,
            list_roots_callback=roots if self.config.roots else None,
            client_info=Implementation(name="greenroom", version="0.1.0"),
            cache=None,
        )
        async with AsyncExitStack() as stack:
            async with self.consent.within(self.config.connect_timeout_s):
                await stack.enter_async_context(client)
                await self.listing.read(client)
            self._line, self._error = Line(client, self._lost), None
            self.consent.worked()
            self._turn(McpState.connected)
            work = [self.listing.follow(client), self.listing.renew(client)]
            if process is not None:
                work.append(self._watch(process))
            helpers = [asyncio.create_task(one) for one in work]
            stack.callback(lambda: [helper.cancel() for helper in helpers])
            await self._lost.wait()
            self._line = None

    async def _told(self, message: Any) -> None:
        self.listing.told(message)

    async def _watch(self, process: ServerProcess) -> None:
        await process.silent.wait()
        self._error = sentence(None, process, self.secrets)
        self._lost.set()

    async def line(self, within_s: float) -> Line:
        """The connection, once it is there.

        Raises:
            NotConnected: it is not, within that time.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        # One that is lost may not have been left yet: what is sent over it would only be lost too.
        while self._line is None or self._line.lost.is_set():
            if self.consent.url is not None:
                raise NotConnected("somebody has to authorize it first, at the page that its status names")
            if not self.config.enabled or self._closing or asyncio.get_running_loop().time() >= deadline:
                raise NotConnected(self._error or "it is not connected")
            await asyncio.sleep(0.02)
        return self._line
