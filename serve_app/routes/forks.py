"""Other ways for a session to go on: forks, and back to an earlier place."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.domain.session import SessionInfo
from actors.manager_race import ForkResult
from serve_app.dependencies import CommandId, Manager, SessionId, act, answer
from serve_app.routes.events import DEFAULT_WAIT_S, MAX_WAIT_S
from serve_app.schemas.base import Changed, Items
from serve_app.schemas.forks import Fork, Forks, Rewind

router = APIRouter(tags=["forks"])


@router.post("/v1/sessions/{session_id}/fork", status_code=201, response_model=SessionInfo)
async def fork(session_id: SessionId, body: Fork, manager: Manager, command_id: CommandId) -> Response:
    """A new session that goes on from this one as it is, or as it was after the record with seq ``at``."""
    forked = await act(
        manager.fork_session(session_id, body.session_id, at=body.at, name=body.name, command_id=command_id)
    )
    return answer(await forked.info(), 201, {"Location": f"/v1/sessions/{forked.session_id}"})


@router.post(
    "/v1/sessions/{session_id}/forks",
    status_code=201,
    response_model=Items[ForkResult],
    responses={202: {"model": Items[ForkResult], "description": "The time ran out: how all of them stand."}},
)
async def fork_many(
    session_id: SessionId,
    body: Forks,
    manager: Manager,
    command_id: CommandId,
    wait_s: Annotated[
        float, Query(alias="timeout", gt=0, le=MAX_WAIT_S, description="Longest wait for answers in seconds.")
    ] = DEFAULT_WAIT_S,
) -> Response:
    """Let alternatives answer side by side, from one place: forks with a prompt each, all of them or none.

    ``join=all`` answers when all have, and keeps all; ``first`` keeps the one that completes first, the others are
    cancelled and destroyed. The same request with the same key finds them again, prompts none twice, and waits on.
    """
    results = await act(
        manager.fork_many(
            session_id, body.prompts, n=body.n, at=body.at, join=body.join, timeout=wait_s, command_id=command_id
        )
    )
    decided = all(one.outcome != "pending" or not one.kept for one in results)
    return answer(Items[ForkResult](items=results), 201 if decided else 202)


@router.post("/v1/sessions/{session_id}/rewind", response_model=Changed)
async def rewind(session_id: SessionId, body: Rewind, manager: Manager, command_id: CommandId) -> Response:
    """Let the model see what it saw after the record with seq ``to``; nothing else goes back."""
    changed = await act(manager.rewind_session(session_id, body.to, command_id=command_id))
    return answer(Changed(changed=changed))
