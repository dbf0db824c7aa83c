"""MCP servers as the store keeps them, over SQL. Above is ``sql``, which gives connections."""

from __future__ import annotations

import logging
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection, delete, insert, select

from actors.domain.mcp import KnownServer
from actors.storage.schema import MCP_SERVERS

log = logging.getLogger(__name__)

_M: Final = MCP_SERVERS.c


def put(connection: Connection, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
    """Keep a server in the place of the one of its name; None forgets it."""
    mine = (_M.tenant == tenant, _M.journal_id == journal_id, _M.name == name)
    connection.execute(delete(MCP_SERVERS).where(*mine))
    if server is not None:
        body = server.model_dump_json().encode()
        row = {"tenant": tenant, "journal_id": journal_id, "name": name, "body": body}
        connection.execute(insert(MCP_SERVERS).values(row))


def every(connection: Connection) -> tuple[tuple[str, str, KnownServer], ...]:
    """(tenant, journal_id, server) of all that can be read, in order."""
    rows: Any = connection.execute(
        select(_M.tenant, _M.journal_id, _M.body).order_by(_M.tenant, _M.journal_id, _M.name)
    )
    found: list[tuple[str, str, KnownServer]] = []
    for tenant, journal_id, body in rows:
        try:
            found.append((tenant, journal_id, KnownServer.model_validate_json(bytes(body))))
        except ValidationError:
            # It keeps none of the others away; who adds the server again replaces it.
            log.warning("an MCP server of tenant %s cannot be read and is left out", tenant)
    return tuple(found)
