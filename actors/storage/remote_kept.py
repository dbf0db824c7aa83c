"""The part of ``RemoteStore`` that is about what is kept beside journals: words of hosts, and MCP servers."""

from __future__ import annotations

from typing import Any

from actors.domain.journal import StoredResult
from actors.domain.mcp import KnownServer
from actors.storage import wire
from actors.storage.wire import each


class RemoteKept:
    """Asks a store somewhere else."""

    async def _call(self, method: str, /, **args: Any) -> Any:
        raise NotImplementedError

    async def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        """See ``Backend.put_result``."""
        await self._call("put_result", tenant=tenant, journal_id=journal_id, result=wire.result_out(result))

    async def results(self, tenant: str, journal_id: str, call_id: str | None = None) -> tuple[StoredResult, ...]:
        """See ``KeptBeside.results``."""
        found = await self._call("results", tenant=tenant, journal_id=journal_id, call_id=call_id)
        return tuple(each(wire.result_in, found))

    async def put_server(self, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
        """See ``Backend.put_server``."""
        body = server.model_dump_json().encode() if server is not None else None
        await self._call("put_server", tenant=tenant, journal_id=journal_id, name=name, server=body)

    async def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        """See ``Backend.servers``."""
        found = await self._call("servers")
        return tuple((tenant, journal_id, KnownServer.model_validate_json(body)) for tenant, journal_id, body in found)
