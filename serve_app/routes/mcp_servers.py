"""MCP servers: those that all sessions share, and those of one session."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator
from starlette.responses import Response

from actors.domain.ids import check_session_id
from actors.domain.mcp import MAX_SERVER_NAME, McpServerConfig, McpStatus
from actors.domain.mcp_library import (
    MAX_CURSOR_CHARS,
    MAX_NAME_CHARS,
    MAX_URI_CHARS,
    McpContent,
    McpPrompts,
    McpPromptText,
    McpResources,
)
from serve_app.dependencies import Manager, act, answer
from serve_app.schemas.base import SESSION_ID_SCHEMA, Body, Changed, Items

router = APIRouter(tags=["mcp"])

ServerName = Annotated[str, Path(min_length=1, max_length=MAX_SERVER_NAME, description="Name of the server.")]
OfSession = Annotated[
    str | None,
    Query(description="The session that it is for; all when absent.", json_schema_extra=SESSION_ID_SCHEMA),
    AfterValidator(lambda value: None if value is None else check_session_id(value)),
]

AsSeenBy = Annotated[
    str | None,
    Query(description="Also look among the servers of this session.", json_schema_extra=SESSION_ID_SCHEMA),
    AfterValidator(lambda value: None if value is None else check_session_id(value)),
]
After = Annotated[str | None, Query(max_length=MAX_CURSOR_CHARS, description="``next`` of the part before.")]


class PromptArguments(Body):
    """What a prompt is told."""

    arguments: dict[str, str] = {}


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


@router.get("/v1/mcp-servers/{name}/resources", response_model=McpResources)
async def list_mcp_resources(
    name: ServerName, manager: Manager, session_id: AsSeenBy = None, after: After = None
) -> Response:
    """What can be read of a server: resources, and with the first part templates of their URIs."""
    return answer(await manager.mcp_resources(name, session_id=session_id, after=after))


@router.get("/v1/mcp-servers/{name}/resources/content", response_model=Items[McpContent])
async def read_mcp_resource(
    name: ServerName,
    manager: Manager,
    uri: Annotated[str, Query(min_length=1, max_length=MAX_URI_CHARS, description="Of the resource.")],
    session_id: AsSeenBy = None,
) -> Response:
    """Read a resource of a server: one content, or those below it; bytes as base64."""
    return answer(Items[McpContent](items=await manager.read_mcp_resource(name, uri, session_id=session_id)))


@router.get("/v1/mcp-servers/{name}/prompts", response_model=McpPrompts)
async def list_mcp_prompts(
    name: ServerName, manager: Manager, session_id: AsSeenBy = None, after: After = None
) -> Response:
    """The prompts of a server."""
    return answer(await manager.mcp_prompts(name, session_id=session_id, after=after))


@router.post("/v1/mcp-servers/{name}/prompts/{prompt:path}", response_model=McpPromptText)
async def get_mcp_prompt(
    name: ServerName,
    prompt: Annotated[str, Path(min_length=1, max_length=MAX_NAME_CHARS, description="Its name.")],
    body: PromptArguments,
    manager: Manager,
    session_id: AsSeenBy = None,
) -> Response:
    """Have a server make a prompt, to look at it. An input `{"mcp_prompt": ...}` sends one to a session."""
    return answer(await manager.get_mcp_prompt(name, prompt, body.arguments, session_id=session_id))
