"""Sessions as documents."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from starlette.responses import Response

from actors.domain.archive import SessionArchive
from actors.domain.session import SessionInfo
from serve_app.dependencies import CommandId, Manager, SessionId, act, answer
from serve_app.schemas.base import SessionIdText

router = APIRouter(tags=["archives"])


@router.get("/v1/sessions/{session_id}/export", response_model=SessionArchive)
async def export_session(session_id: SessionId, manager: Manager) -> Response:
    """The whole session as one document, which ``import`` takes. It holds no key."""
    document = await manager.export_session(session_id)
    return answer(document, headers={"Content-Disposition": f'attachment; filename="{session_id}.json"'})


@router.post("/v1/sessions/import", status_code=201, response_model=SessionInfo)
async def import_session(
    document: Annotated[dict[str, Any], Body(description="An exported session, or a session file of A3S Code.")],
    manager: Manager,
    command_id: CommandId,
    session_id: Annotated[SessionIdText | None, Query(description="Its id; the document's when absent.")] = None,
) -> Response:
    """Create a session from a document. What was under way where it comes from is closed."""
    session = await act(manager.import_session(document, session_id, command_id=command_id))
    return answer(await session.info(), 201, {"Location": f"/v1/sessions/{session.session_id}"})
