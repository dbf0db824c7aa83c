"""Steering a session: pause, resume, interrupt, clear, compact, name, and a snapshot of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.domain.session import SessionInfo, SnapshotInfo
from actors.errors import CompactionPending, TitlePending
from serve_app.dependencies import CommandId, Manager, SessionId, act, answer
from serve_app.routes.events import DEFAULT_WAIT_S, MAX_WAIT_S
from serve_app.schemas.base import Changed
from serve_app.schemas.sessions import Compacted, Titled

router = APIRouter(tags=["control"])

Wait = Annotated[float, Query(alias="timeout", gt=0, le=MAX_WAIT_S, description="Longest wait in seconds.")]


@router.post("/v1/sessions/{session_id}/pause", response_model=Changed)
async def pause_session(session_id: SessionId, manager: Manager, command_id: CommandId) -> Response:
    """Take no new step until resumed."""
    return answer(Changed(changed=await act(manager.pause_session(session_id, command_id=command_id))))


@router.post("/v1/sessions/{session_id}/resume", response_model=Changed)
async def resume_session(session_id: SessionId, manager: Manager, command_id: CommandId) -> Response:
    """Go on."""
    return answer(Changed(changed=await act(manager.resume_session(session_id, command_id=command_id))))


@router.post("/v1/sessions/{session_id}/interrupt", response_model=Changed)
async def interrupt_session(session_id: SessionId, manager: Manager, command_id: CommandId) -> Response:
    """End the running turn and everything it waits for."""
    return answer(Changed(changed=await act(manager.cancel_operation(session_id, command_id=command_id))))


@router.post("/v1/sessions/{session_id}/restore", response_model=SessionInfo)
async def restore_session(session_id: SessionId, manager: Manager) -> Response:
    """How the session stands. Sessions of the store need no loading: the next command brings it back."""
    return answer(await (await manager.restore_session_by_id(session_id)).info())


@router.post("/v1/sessions/{session_id}/clear", response_model=Changed)
async def clear_session(session_id: SessionId, manager: Manager, command_id: CommandId) -> Response:
    """Empty the context; the journal keeps the transcript."""
    await act(manager.clear(session_id, command_id=command_id))
    return answer(Changed(changed=True))


@router.post("/v1/sessions/{session_id}/snapshot", response_model=SnapshotInfo)
async def snapshot_session(session_id: SessionId, manager: Manager) -> Response:
    """Keep its state as of now, so that it need not be folded when it is next used."""
    return answer(await act(manager.snapshot(session_id)))


@router.post(
    "/v1/sessions/{session_id}/compact",
    response_model=Compacted,
    responses={202: {"model": Compacted, "description": "It goes on: repeat the request with its Idempotency-Key."}},
)
async def compact_session(
    session_id: SessionId,
    manager: Manager,
    command_id: CommandId,
    only_when_due: Annotated[bool, Query(description="Only if the session would do it by itself.")] = False,
    wait_s: Wait = DEFAULT_WAIT_S,
) -> Response:
    """Let a summary take the place of all but the first and the last messages; the journal keeps the transcript."""
    try:
        compaction = await act(
            manager.compact(session_id, only_when_due=only_when_due, timeout=wait_s, command_id=command_id)
        )
    except CompactionPending:
        return answer(Compacted(changed=False, pending=True), 202)
    return answer(Compacted(changed=compaction is not None, compaction=compaction))


@router.post(
    "/v1/sessions/{session_id}/title",
    response_model=Titled,
    responses={202: {"model": Titled, "description": "It comes: repeat the request with its Idempotency-Key."}},
)
async def title_session(
    session_id: SessionId, manager: Manager, command_id: CommandId, wait_s: Wait = DEFAULT_WAIT_S
) -> Response:
    """Let the session's model find a title from the first messages, and make it the session's name."""
    try:
        title = await act(manager.generate_title(session_id, timeout=wait_s, command_id=command_id))
    except TitlePending:
        return answer(Titled(pending=True), 202)
    return answer(Titled(title=title))
