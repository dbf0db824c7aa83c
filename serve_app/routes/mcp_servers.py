"""MCP servers: those that all sessions share, and those of one session."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator
from starlette.responses import Response

from actors.domain.ids import check_session_id
from actors.domain.mcp import MAX_SERVER_NAME, McpServerConfig, McpStatus
from serve_app.dependencies import Manager, act, answer
from serve_app.schemas.base import SESSION_ID_SCHEMA, Changed, Items

router = APIRouter(tags=["mcp"])

ServerName = Annotated[str, Path(min_length=1, max_length=MAX_SERVER_NAME, description="Name of the server.")]
OfSession = Annotated[
    str | None,
    Query(description="The session that it is for; all when absent.", json_schema_extra=SESSION_ID_SCHEMA),
    AfterValidator(lambda value: None if value is None else check_session_id(value)),
]


@router.get("/v1/mcp-servers", response_model=Items[McpStatus])
async def list_mcp_servers(manager: Manager, session_id: OfSession = None) -> Response:
    """How MCP servers stand: the shared ones, and those of a session when one is named. No secrets."""
    found = await manager.mcp_status(session_id=session_id)
    return answer(Items[McpStatus](items=tuple(found.values())))


@router.post("/v1/mcp-servers", response_model=McpStatus, status_code=201)
async def add_mcp_server(body: McpServerConfig, manager: Manager, session_id: OfSession = None) -> Response:
    """Configure an MCP server, in the place of one of its name, and connect it; the answer says how it stands then."""
    return answer(await act(manager.add_mcp_server(body, session_id=session_id)), 201)


@router.delete("/v1/mcp-servers/{name}", response_model=Changed)
async def remove_mcp_server(name: ServerName, manager: Manager, session_id: OfSession = None) -> Response:
    """Forget an MCP server and end it."""
    return answer(Changed(changed=await act(manager.remove_mcp_server(name, session_id=session_id))))
