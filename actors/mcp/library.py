"""The resources and prompts of a server, for whoever asks: every question is bounded in time, number and size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actors.domain.asking import MAX_ROUNDS
from actors.domain.mcp_library import (
    MAX_CURSOR_CHARS,
    MAX_LISTED,
    MAX_TEMPLATES,
    MAX_URI_CHARS,
    MAX_VALUE_CHARS,
    McpContent,
    McpPrompts,
    McpPromptText,
    McpResources,
)
from actors.errors import InvalidRequest, McpRefused, McpUnavailable
from actors.mcp import shown
from actors.mcp.connection import Line, McpConnection
from actors.mcp.listing import Shelf
from actors.mcp.pages import gathered
from actors.mcp.problems import Lost, NoQuestion, NotConnected, hidden
from actors.mcp.questions import asked_in, responses_of
from actors.mcp.requests import CONNECT_WAIT_S, NOTHING, Given, answered, get_prompt, read_resource

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import ReadResourceResult, ResourceTemplate, ServerCapabilities

MAX_DETAIL_CHARS: Final = 500

_METHOD_NOT_FOUND: Final = -32601

T = TypeVar("T")


class McpLibrary:
    """``actors.session.library.Library`` over one connection. What the server does not offer at all is empty."""

    def __init__(self, connection: McpConnection) -> None:
        self._connection = connection
        self._config = connection.config

    async def resources(self, after: str | None = None) -> McpResources:
        """See ``Library.resources``."""
        first = self._connection.listing.resources
        return await self._part(after, first, lambda can: can.resources, self._resources, McpResources())

    async def _resources(self, client: Client, after: str | None) -> McpResources:
        found = await gathered(
            lambda cursor: client.list_resources(cursor=cursor), lambda page: page.resources, MAX_LISTED, after
        )
        items = {one.uri: one for one in shown.bounded(found.items, shown.resource, self._connection.secrets)}
        templates = await self._templates(client) if after is None else []
        return McpResources(
            items=tuple(items.values()),
            templates=tuple(shown.bounded(templates, shown.template, self._connection.secrets)),
            next=found.next,
            left_out=found.left_out + len({one.uri for one in found.items}) - len(items),
        )

    async def _templates(self, client: Client) -> list[ResourceTemplate]:
        from mcp import MCPError

        try:
            found = await gathered(
                lambda cursor: client.list_resource_templates(cursor=cursor),
                lambda page: page.resource_templates,
                MAX_TEMPLATES,
            )
        except MCPError as exc:
            if exc.code != _METHOD_NOT_FOUND:
                raise
            return []
        return found.items

    async def read(self, uri: str) -> tuple[McpContent, ...]:
        """See ``Library.read``."""
        if not 0 < len(uri) <= MAX_URI_CHARS:
            raise InvalidRequest(f"The URI of a resource has 1 to {MAX_URI_CHARS} characters.")
        result: ReadResourceResult = await self._ask(
            lambda client: self._alone(partial(read_resource, client, uri)), self._config.tool_timeout_s
        )
        self._refuse_questions(result)
        try:
            return tuple(shown.content(one, self._connection.secrets) for one in result.contents)
        except ValueError as exc:
            raise McpRefused(self._config.name, str(exc)) from None

    async def prompts(self, after: str | None = None) -> McpPrompts:
        """See ``Library.prompts``."""
        first = self._connection.listing.prompts
        return await self._part(after, first, lambda can: can.prompts, self._prompts, McpPrompts())

    async def _prompts(self, client: Client, after: str | None) -> McpPrompts:
        found = await gathered(
            lambda cursor: client.list_prompts(cursor=cursor), lambda page: page.prompts, MAX_LISTED, after
        )
        items = {one.name: one for one in shown.bounded(found.items, shown.prompt, self._connection.secrets)}
        left_out = found.left_out + len({one.name for one in found.items}) - len(items)
        return McpPrompts(items=tuple(items.values()), next=found.next, left_out=left_out)

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> McpPromptText:
        """See ``Library.prompt``."""
        if sum(len(key) + len(value) for key, value in arguments.items()) > MAX_VALUE_CHARS:
            raise InvalidRequest(f"The arguments of a prompt have at most {MAX_VALUE_CHARS} characters together.")
        result = await self._ask(
            lambda client: self._alone(partial(get_prompt, client, name, dict(arguments))), self._config.tool_timeout_s
        )
        self._refuse_questions(result)
        made = shown.prompt_text(result, self._connection.secrets)
        if not made.messages:
            raise McpRefused(self._config.name, "the prompt is empty")
        return made

    async def _part(
        self,
        after: str | None,
        first: Shelf[T],
        offered: Callable[[ServerCapabilities], Any],
        listed: Callable[[Client, str | None], Awaitable[T]],
        nothing: T,
    ) -> T:
        """A part of a list; the first one is kept for as long as the server tells of changes."""
        if after is not None and len(after) > MAX_CURSOR_CHARS:
            raise InvalidRequest(
                f"The place in a list has at most {MAX_CURSOR_CHARS} characters: give what `next` said."
            )

        async def ask(client: Client) -> T:
            offer = offered(client.server_capabilities)
            if offer is None:
                return nothing
            if after is not None:
                return await listed(client, after)
            return await first.get(lambda: listed(client, None), keep=self._connection.listing.is_told(client, offer))

        return await self._ask(ask, self._config.connect_timeout_s)

    async def _alone(self, ask: Callable[[Given], Awaitable[Any]]) -> Any:
        """What a request comes to that no session makes: of what the server may want, it is told the roots."""
        result = await ask(NOTHING)
        for _ in range(MAX_ROUNDS):
            if getattr(result, "result_type", "") != "input_required":
                break
            asked = asked_in(result, self._config, self._connection.secrets)
            if asked.questions:
                break
            result = await ask(Given(responses_of((), asked.roots, self._connection.workspace), asked.state))
        return result

    def _refuse_questions(self, result: Any) -> None:
        if getattr(result, "result_type", "") == "input_required":
            raise McpRefused(self._config.name, "it asks something first, which only a session's call can answer")

    async def _ask(self, ask: Callable[[Client], Awaitable[T]], timeout_s: float) -> T:
        from mcp import MCPError

        name = self._config.name
        try:
            async with asyncio.timeout(timeout_s):
                line: Line = await self._connection.line(min(CONNECT_WAIT_S, timeout_s))
                return await answered(line, ask)
        except NotConnected as exc:
            raise McpUnavailable(name, str(exc)) from None
        except Lost as exc:
            raise McpUnavailable(name, f"{exc}{self._connection.why_lost}") from None
        except TimeoutError:
            raise McpUnavailable(name, f"it did not answer in {timeout_s:g} s") from None
        except NoQuestion as exc:
            raise McpRefused(name, str(exc)) from None
        except MCPError as exc:
            detail = hidden(exc.message[:MAX_DETAIL_CHARS], self._connection.secrets)
            raise McpRefused(name, detail.rstrip(". ")) from None
        except Exception as exc:
            # Whatever a server can say, the SDK has an exception for it.
            raise McpRefused(name, f"no valid answer of the protocol ({type(exc).__name__})") from None
