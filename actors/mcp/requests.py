"""Requests to a server over whatever connection there is: each ends with its answer, or when its connection is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.domain.mcp import MAX_ANSWER_S
from actors.mcp.connection import Line, McpConnection
from actors.mcp.problems import Lost

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import InputResponses

_CONNECTION_CLOSED: Final = -32000

CONNECT_WAIT_S: Final = 10.0
"""How long a request waits for a server that is being connected again."""

LAST_WORDS_S: Final = 0.1
"""How long what a server had still sent is waited for when its connection is lost."""


class Given(NamedTuple):
    """What a request is taken up with, in the SDK's forms: what was answered, and what the server had kept for it."""

    responses: InputResponses | None = None
    state: str | None = None


NOTHING: Final = Given()


async def call_tool(
    connection: McpConnection, name: str, args: dict[str, Any], progress: Any, wait_s: float, given: Given
) -> Any:
    """Call a tool of the server by the server's own name for it; a result of the SDK, which may require input.

    Raises:
        NotConnected: the call was not made.
        Lost: the connection broke under it.
        MCPError: as the SDK has it. The time that it takes is the caller's to bound.
    """
    line = await connection.line(wait_s)

    def ask(client: Client) -> Awaitable[Any]:
        return client.session.call_tool(
            name,
            args,
            read_timeout_seconds=MAX_ANSWER_S,
            progress_callback=progress,
            input_responses=given.responses,
            request_state=given.state,
            allow_input_required=True,
        )

    result = await answered(line, ask)
    connection.consent.worked()
    return result


async def read_resource(client: Client, uri: str, given: Given = NOTHING) -> Any:
    """Read a resource; a result of the SDK, which may require input."""
    from mcp_types import InputRequiredResult, ReadResourceRequest, ReadResourceRequestParams, ReadResourceResult
    from pydantic import TypeAdapter

    params = ReadResourceRequestParams(uri=uri, input_responses=given.responses, request_state=given.state)
    form: TypeAdapter[Any] = TypeAdapter(ReadResourceResult | InputRequiredResult)
    return await client.session.send_request(ReadResourceRequest(params=params), form, MAX_ANSWER_S)


async def get_prompt(client: Client, name: str, arguments: dict[str, str], given: Given = NOTHING) -> Any:
    """Have a prompt made; a result of the SDK, which may require input."""
    from mcp_types import GetPromptRequest, GetPromptRequestParams, GetPromptResult, InputRequiredResult
    from pydantic import TypeAdapter

    params = GetPromptRequestParams(
        name=name, arguments=arguments or None, input_responses=given.responses, request_state=given.state
    )
    form: TypeAdapter[Any] = TypeAdapter(GetPromptResult | InputRequiredResult)
    return await client.session.send_request(GetPromptRequest(params=params), form, MAX_ANSWER_S)


async def answered(line: Line, ask: Callable[[Client], Awaitable[Any]]) -> Any:
    """What the server answers; whoever is cancelled here takes the request back.

    Raises:
        Lost: the connection broke under it.
        MCPError: as the SDK has it. The time that it takes is the caller's to bound.
    """
    lost = asyncio.ensure_future(line.lost.wait())
    asked = asyncio.ensure_future(ask(line.client))
    try:
        await asyncio.wait([lost, asked], return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            await asyncio.wait([asked], timeout=LAST_WORDS_S)
        if not asked.done():
            raise Lost("the connection was lost")
        return _answer(asked, line.lost)
    finally:
        lost.cancel()
        if not asked.done():
            asked.cancel()
            await asyncio.wait([asked], timeout=1.0)
        elif not asked.cancelled():
            asked.exception()


def _answer(asked: asyncio.Future[Any], lost: asyncio.Event) -> Any:
    """What came of a request; a broken connection is Lost, and told to the owner."""
    from mcp import MCPError

    error = asked.exception()
    if isinstance(error, MCPError) and error.code == _CONNECTION_CLOSED:
        lost.set()
        raise Lost("the connection was closed") from None
    return asked.result()
