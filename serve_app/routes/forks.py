"""Other ways for a session to go on: forks, and back to an earlier place."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from actors.domain.session import SessionInfo
from serve_app.dependencies import CommandId, Manager, SessionId, act, answer
from serve_app.schemas.base import Changed
from serve_app.schemas.forks import Fork, Rewind

router = APIRouter(tags=["forks"])


@router.post("/v1/sessions/{session_id}/fork", status_code=201, response_model=SessionInfo)
async def fork(session_id: SessionId, body: Fork, manager: Manager, command_id: CommandId) -> Response:
    """A new session that goes on from this one as it is, or as it was after the record with seq ``at``."""
    forked = await act(
        manager.fork_session(session_id, body.session_id, at=body.at, name=body.name, command_id=command_id)
    )
    return answer(await forked.info(), 201, {"Location": f"/v1/sessions/{forked.session_id}"})


@router.post("/v1/sessions/{session_id}/rewind", response_model=Changed)
async def rewind(session_id: SessionId, body: Rewind, manager: Manager, command_id: CommandId) -> Response:
    """Let the model see what it saw after the record with seq ``to``; nothing else goes back."""
    changed = await act(manager.rewind_session(session_id, body.to, command_id=command_id))
    return answer(Changed(changed=changed))
