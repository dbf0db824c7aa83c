"""What browsers bring back from the authorization pages of MCP servers."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import PlainTextResponse, Response

from actors.domain.mcp import McpStatus
from actors.domain.mcp_oauth import CALLBACK_PATH, CLIENT_PATH, MAX_REDIRECT_CHARS, client_document
from actors.errors import GreenroomError
from serve_app.dependencies import Manager, act, answer
from serve_app.problems import RouteNotFound
from serve_app.schemas.base import Body

router = APIRouter(tags=["mcp"])

_AGREED = "Thank you. You can close this page. A session that asked for it goes on when its question is accepted."


class Authorization(Body):
    """Where a browser was sent back to, as it shows it."""

    redirect_url: str = Field(min_length=1, max_length=MAX_REDIRECT_CHARS)


@router.get(CALLBACK_PATH, response_class=PlainTextResponse)
async def take_back_browser(request: Request, manager: Manager) -> Response:
    """Take back a browser from an authorization page; open to whoever has the state of the page, which works once."""
    try:
        await act(manager.finish_mcp_authorization(str(request.url)))
    except GreenroomError as exc:
        return PlainTextResponse(exc.message, exc.status)
    return PlainTextResponse(_AGREED)


class Client(Body):
    """What authorization servers are told about this service (RFC 7591)."""

    client_id: str
    client_name: str = "Greenroom"
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    response_types: tuple[str, ...] = ("code",)
    token_endpoint_auth_method: str = "none"


@router.get(CLIENT_PATH, response_model=Client)
async def get_client_document(manager: Manager) -> Response:
    """The document that is the service's id at authorization servers; there is one where it is reached over https."""
    redirect_uri = manager.settings.redirect_uri
    document = client_document(redirect_uri)
    if document is None:
        raise RouteNotFound("Set GREENROOM_PUBLIC_URL to the https address of this service: nobody could fetch this.")
    return answer(Client(client_id=document, redirect_uris=(redirect_uri,)))


@router.post("/v1/mcp-servers/authorizations", response_model=McpStatus)
async def finish_mcp_authorization(body: Authorization, manager: Manager) -> Response:
    """Say where a browser was sent back to that does not reach this service; the answer says how the server stands."""
    return answer(await act(manager.finish_mcp_authorization(body.redirect_url)))
