"""One connection to one server, kept up: connected, listed, called, and connected anew when it is lost.

An owner task enters and leaves the SDK's client, as it has to be one task that does both; callers live in other tasks.
A lost connection is never mended: the next one is a new client, after a pause that doubles.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from actors.domain.asking import Resume
from actors.domain.mcp import MAX_ANSWER_S, McpServerConfig, McpState, McpStatus, status_of
from actors.domain.mcp_transports import HttpTransport, StdioTransport
from actors.mcp.definitions import Published
from actors.mcp.http import http_transport
from actors.mcp.listing import LIST_PAUSE_S, follow, listed
from actors.mcp.open_calls import OpenCalls
from actors.mcp.problems import Lost, NotConnected, sentence
from actors.mcp.questions import responses_of
from actors.mcp.stdio import EXIT_S, GONE_S, ServerProcess, stdio_transport

if TYPE_CHECKING:
    from mcp import Client

log = logging.getLogger(__name__)

BACK_OFF_FIRST_S: Final = 0.5
BACK_OFF_MAX_S: Final = 60.0
"""Bounds of the pause before a new connection; a server that was up for a minute begins at the first again."""

CLOSE_S: Final = EXIT_S + GONE_S + 1.0
"""Longest wait for a server to be gone."""

HANDSHAKE_READ_S: Final = 10.0
"""Longest wait for one answer while connecting: a server of the older protocol may be silent at the first question."""


_CONNECTION_CLOSED: Final = -32000


class McpConnection:
    """Keeps one server connected.

    Args:
        directory: Where a stdio server starts that names no directory.
        environment: Variables for a stdio server beside those of its configuration.
        changed: Called when its state, or its list of tools, has changed.
        back_off_s: The first pause before a new connection.
    """

    def __init__(
        self,
        config: McpServerConfig,
        directory: str,
        environment: dict[str, str],
        changed: Callable[[], None],
        back_off_s: float = BACK_OFF_FIRST_S,
    ) -> None:
        self.config = config
        self.open_calls = OpenCalls(config.secrets)
        self.published = Published()
        self.tries = 0
        self._directory = directory
        self._environment = environment
        self._changed = changed
        self._first_pause_s = back_off_s
        self._state = McpState.connecting if config.enabled else McpState.disabled
        self._error: str | None = None
        self._client: Client | None = None
        self._lost = asyncio.Event()
        self._relist = asyncio.Event()
        self._settled = asyncio.Event()
        self._owner: asyncio.Task[None] | None = None
        self._closing = False

    # --- life --------------------------------------------------------------------------------------------------------

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
        self._lost.set()
        if self._owner is not None:
            if self._client is None:
                self._owner.cancel()
            await asyncio.wait([self._owner], timeout=CLOSE_S)

    @property
    def status(self) -> McpStatus:
        """How it stands."""
        client = self._client
        info = client.server_info if client is not None else None
        return status_of(
            self.config,
            self._state,
            protocol=client.protocol_version if client is not None else None,
            server=f"{info.name} {info.version}"[:200] if info is not None else None,
            tool_count=len(self.published.definitions),
            tools_left_out=self.published.left_out,
            error=self._error,
        )

    @property
    def modern(self) -> bool:
        """Whether the server keeps nothing between calls: what it asks is answered by calling it again."""
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        return self._client is not None and self._client.protocol_version in MODERN_PROTOCOL_VERSIONS

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
            await self._connected(process, transport)
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            why = exc  # The SDK tears a broken connection down by cancelling who holds it.
        except (Exception, BaseExceptionGroup) as exc:
            why = exc
        finally:
            self._client = None
            self._lost.set()
        return sentence(why, process, self.config.secrets)

    async def _connected(self, process: ServerProcess | None, transport: StdioTransport | HttpTransport) -> None:
        from mcp import Client
        from mcp_types import Implementation

        if process is not None:
            target: Any = stdio_transport(process)
        else:
            assert isinstance(transport, HttpTransport)
            target = http_transport(transport, self.config.oauth)
        client = Client(
            target,
            read_timeout_seconds=HANDSHAKE_READ_S,
            message_handler=self._on_message,
            elicitation_callback=lambda context, params: self.open_calls.asked(params),
            client_info=Implementation(name="greenroom", version="0.1.0"),
            cache=None,
        )
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self.config.connect_timeout_s):
                await stack.enter_async_context(client)
                self.published = await listed(client, self.config)
            self._client, self._error = client, None
            self._turn(McpState.connected)
            work = [follow(client, self._relist, self.config.name), self._renew(client)]
            if process is not None:
                work.append(self._watch(process))
            helpers = [asyncio.create_task(one) for one in work]
            stack.callback(lambda: [helper.cancel() for helper in helpers])
            await self._lost.wait()
            self._client = None

    async def _watch(self, process: ServerProcess) -> None:
        await process.silent.wait()
        self._lost.set()

    # --- the list of tools -------------------------------------------------------------------------------------------

    async def _on_message(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._relist.set()

    async def _renew(self, client: Client) -> None:
        while True:
            await self._relist.wait()
            self._relist.clear()
            try:
                async with asyncio.timeout(self.config.connect_timeout_s):
                    self.published = await listed(client, self.config)
            except Exception as exc:
                log.info(
                    "the tools of MCP server %s could not be listed again: %s", self.config.name, type(exc).__name__
                )
            else:
                self._changed()
            await asyncio.sleep(LIST_PAUSE_S)

    # --- calls -------------------------------------------------------------------------------------------------------

    async def client(self, within_s: float) -> Client:
        """The client, once it is connected.

        Raises:
            NotConnected: it is not, within that time.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        while self._client is None:
            if not self.config.enabled or self._closing or asyncio.get_running_loop().time() >= deadline:
                raise NotConnected(self._error or "it is not connected")
            await asyncio.sleep(0.02)
        return self._client

    async def call(
        self, name: str, args: dict[str, Any], progress: Any, wait_s: float, resume: Resume | None = None
    ) -> Any:
        """Call a tool of the server by the server's own name for it; a result of the SDK, which may require input.

        Args:
            resume: With what the server asked for the last time; one of the older protocols is just called again.

        Raises:
            NotConnected: the call was not made.
            Lost: the connection broke under it.
            MCPError: as the SDK has it. The time that it takes is the caller's to bound.
        """
        client = await self.client(wait_s)
        lost = asyncio.ensure_future(self._lost.wait())
        answers = resume if self.modern else None
        asked = asyncio.ensure_future(
            client.session.call_tool(
                name,
                args,
                read_timeout_seconds=MAX_ANSWER_S,
                progress_callback=progress,
                input_responses=responses_of(answers.answers) or None if answers is not None else None,
                request_state=answers.state if answers is not None else None,
                allow_input_required=True,
            )
        )
        try:
            await asyncio.wait([lost, asked], return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                # What the server had still sent is taken before the call is given up.
                await asyncio.wait([asked], timeout=0.1)
            if not asked.done():
                raise Lost("the connection was lost")
            return _answer(asked, self._lost)
        finally:
            lost.cancel()
            if not asked.done():
                asked.cancel()
                await asyncio.wait([asked], timeout=1.0)
            elif not asked.cancelled():
                asked.exception()


def _answer(asked: asyncio.Future[Any], lost: asyncio.Event) -> Any:
    """What came of a call; a broken connection is Lost, and told to the owner."""
    from mcp import MCPError

    error = asked.exception()
    if isinstance(error, MCPError) and error.code == _CONNECTION_CLOSED:
        lost.set()
        raise Lost("the connection was closed") from None
    return asked.result()
