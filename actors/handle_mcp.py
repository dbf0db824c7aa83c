"""MCP servers of one session: the part of ``SessionHandle`` about them."""

from __future__ import annotations

from collections.abc import Mapping

from actors.checks import checked_arguments
from actors.domain.mcp import McpServerConfig, McpStatus
from actors.domain.mcp_library import McpContent, McpInput, McpPrompts, McpPromptText, McpResources
from actors.domain.messages import Message
from actors.handle_reads import SessionReads
from actors.session.library import Library

Prompt = str | Message | McpInput
"""An input as it is given: a text, a message, or a prompt of an MCP server, which is made when it is sent."""


class SessionMcp(SessionReads):
    """The part of ``SessionHandle`` that is about MCP servers."""

    async def add_mcp_server(self, config: McpServerConfig) -> McpStatus:
        """Configure an MCP server that only this session can use; see ``SessionManager.add_mcp_server``."""
        info = await self.info()
        return await self._runtime.add_mcp_server(self._tenant, self.journal_id, info.session_id, config)

    async def remove_mcp_server(self, name: str) -> bool:
        """Forget a server that this session has for itself, and end it; False when there is none."""
        await self.info()
        return await self._runtime.remove_mcp_server(self._tenant, self.journal_id, name)

    async def mcp_status(self) -> dict[str, McpStatus]:
        """How the MCP servers stand that this session can use, its own and the shared ones, by name."""
        info = await self.info()
        found = await self._runtime.mcp_servers(self._tenant)
        return {one.name: one for one in found if one.session_id in (None, info.session_id)}

    async def mcp_resources(self, server: str, *, after: str | None = None) -> McpResources:
        """The resources of a server that the session can use; see ``SessionManager.mcp_resources``."""
        return await (await self._library(server)).resources(after)

    async def read_mcp_resource(self, server: str, uri: str) -> tuple[McpContent, ...]:
        """Read a resource of a server that the session can use; see ``SessionManager.read_mcp_resource``."""
        return await (await self._library(server)).read(uri)

    async def mcp_prompts(self, server: str, *, after: str | None = None) -> McpPrompts:
        """The prompts of a server that the session can use; see ``SessionManager.mcp_prompts``."""
        return await (await self._library(server)).prompts(after)

    async def get_mcp_prompt(
        self, server: str, prompt: str, arguments: Mapping[str, str] | None = None
    ) -> McpPromptText:
        """Have a prompt made; see ``SessionManager.get_mcp_prompt``. To send it, give ``McpInput`` in place of text."""
        return await (await self._library(server)).prompt(prompt, checked_arguments(arguments))

    async def _library(self, server: str) -> Library:
        await self.info()
        return await self._runtime.mcp_library(self._tenant, self.journal_id, server)

    async def _made(self, prompt: Prompt, command_id: str | None) -> str | Message:
        """An input with its words. What was sent before is known by what it is made of: nobody makes it again."""
        if not isinstance(prompt, McpInput):
            return prompt
        store, place = self._runtime.store, (self._tenant, self.journal_id)
        if command_id is not None and await store.first_outcome(*place, command_id) is not None:
            return prompt.prompt
        return (await self.get_mcp_prompt(prompt.server, prompt.prompt, prompt.arguments)).as_input()
