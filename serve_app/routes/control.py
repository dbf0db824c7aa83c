"""Steering a session: pause, resume, interrupt, clear, and a snapshot of it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from actors.domain.session import SnapshotInfo
from serve_app.dependencies import Manager, SessionId, act, answer
from serve_app.schemas.base import Changed

router = APIRouter(tags=["control"])


@router.post("/v1/sessions/{session_id}/pause", response_model=Changed)
async def pause_session(session_id: SessionId, manager: Manager) -> Response:
    """Take no new step until resumed."""
    return answer(Changed(changed=await act(manager.pause_session(session_id))))


@router.post("/v1/sessions/{session_id}/resume", response_model=Changed)
async def resume_session(session_id: SessionId, manager: Manager) -> Response:
    """Go on."""
    return answer(Changed(changed=await act(manager.resume_session(session_id))))


@router.post("/v1/sessions/{session_id}/interrupt", response_model=Changed)
async def interrupt_session(session_id: SessionId, manager: Manager) -> Response:
    """End the running turn and everything it waits for."""
    return answer(Changed(changed=await act(manager.cancel_operation(session_id))))


@router.post("/v1/sessions/{session_id}/clear", response_model=Changed)
async def clear_session(session_id: SessionId, manager: Manager) -> Response:
    """Empty the context; the journal keeps the transcript."""
    await act(manager.clear(session_id))
    return answer(Changed(changed=True))


@router.post("/v1/sessions/{session_id}/snapshot", response_model=SnapshotInfo)
async def snapshot_session(session_id: SessionId, manager: Manager) -> Response:
    """Keep its state as of now, so that it need not be folded when it is next used."""
    return answer(await act(manager.snapshot(session_id)))
