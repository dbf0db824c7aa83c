"""MCP servers: those that all sessions of a tenant share, and those of one session alone."""

from __future__ import annotations

from collections.abc import Mapping

from actors.checks import checked_arguments
from actors.domain.mcp import McpServerConfig, McpStatus
from actors.domain.mcp_library import McpContent, McpPrompts, McpPromptText, McpResources
from actors.domain.mcp_oauth import Redirect
from actors.errors import InvalidRequest
from actors.manager_lookup import SessionLookup
from actors.session.library import Library


class McpOperations(SessionLookup):
    """What ``SessionManager`` does about MCP servers."""

    async def add_mcp_server(self, config: McpServerConfig, *, session_id: str | None = None) -> McpStatus:
        """Configure an MCP server, in the place of one of the same name, and connect it.

        It stays configured when it cannot be connected: the status says why, and it is tried again. Its secrets (values
        of ``env`` and ``headers``, tokens) are held in memory only and end with the runtime.

        Args:
            session_id: The session that it is for; all sessions when None.

        Raises:
            McpServerExists: the name is taken by a server that the same session would see.
            InvalidConfig: there are too many.
            SessionNotFound: no such session.
        """
        if session_id is not None:
            return await (await self._session(session_id)).add_mcp_server(config)
        return await self._runtime.add_mcp_server(self.tenant, "", None, config)

    async def remove_mcp_server(self, name: str, *, session_id: str | None = None) -> bool:
        """Forget an MCP server and end it; False when there is none. Its tools are gone, and its running calls fail."""
        if session_id is not None:
            return await (await self._session(session_id)).remove_mcp_server(name)
        return await self._runtime.remove_mcp_server(self.tenant, "", name)

    async def finish_mcp_authorization(self, redirect_url: str) -> McpStatus:
        """Hand over what a browser brought back from the ``authorization_url`` of a server's status.

        The HTTP service does it by itself, where browsers reach it (``GREENROOM_PUBLIC_URL``). Where they do not, the
        page that they end at cannot be shown, and its address is what is asked for here.

        Returns:
            How the server stands; it is connected a moment later, when it takes the token.

        Raises:
            InvalidRequest: that is no such address.
            AuthorizationNotFound: no server waits for it: it was used, is too late, or is another tenant's.
        """
        try:
            redirect = Redirect.of(redirect_url)
        except ValueError as exc:
            raise InvalidRequest(str(exc)) from None
        return await self._runtime.authorized_mcp(self.tenant, redirect)

    async def mcp_status(self, *, session_id: str | None = None) -> dict[str, McpStatus]:
        """How the MCP servers stand, by name; no secrets.

        Args:
            session_id: With those that this session has for itself; only the shared ones when None.
        """
        if session_id is not None:
            return await (await self._session(session_id)).mcp_status()
        found = await self._runtime.mcp_servers(self.tenant)
        return {one.name: one for one in found if one.session_id is None}

    async def mcp_resources(
        self, server: str, *, session_id: str | None = None, after: str | None = None
    ) -> McpResources:
        """What can be read of a server: resources, up to 1,000 at once, and templates of their URIs.

        Args:
            session_id: Also look among the servers that this session has for itself.
            after: ``next`` of the part before.

        Raises:
            McpServerNotFound: there is no such server here.
            McpUnavailable: it is not connected, or did not answer in time.
            McpRefused: it says no, or what it says is of no use.
        """
        return await (await self._library(server, session_id)).resources(after)

    async def read_mcp_resource(
        self, server: str, uri: str, *, session_id: str | None = None
    ) -> tuple[McpContent, ...]:
        """Read a resource of a server, as text or bytes: one content, or those below it; 8 MiB at most.

        Raises:
            McpServerNotFound, McpUnavailable, McpRefused: as ``mcp_resources``.
        """
        return await (await self._library(server, session_id)).read(uri)

    async def mcp_prompts(self, server: str, *, session_id: str | None = None, after: str | None = None) -> McpPrompts:
        """The prompts of a server, up to 1,000 at once.

        Raises:
            McpServerNotFound, McpUnavailable, McpRefused: as ``mcp_resources``.
        """
        return await (await self._library(server, session_id)).prompts(after)

    async def get_mcp_prompt(
        self, server: str, prompt: str, arguments: Mapping[str, str] | None = None, *, session_id: str | None = None
    ) -> McpPromptText:
        """Have a server make a prompt. ``McpInput`` in the place of a text sends one to a session.

        Raises:
            McpServerNotFound, McpUnavailable, McpRefused: as ``mcp_resources``.
        """
        return await (await self._library(server, session_id)).prompt(prompt, checked_arguments(arguments))

    async def _library(self, server: str, session_id: str | None) -> Library:
        journal_id = (await self.get_info(session_id)).journal_id if session_id is not None else ""
        return await self._runtime.mcp_library(self.tenant, journal_id, server)
