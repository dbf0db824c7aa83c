"""Children of a session: start them, list them, wait for what they answer."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.domain.children import ChildResult, ChildSpec
from actors.domain.session import SessionInfo
from actors.errors import ChildrenPending
from actors.manager import SessionManager
from actors.reading.families import SessionTree
from serve_app.dependencies import CommandId, Manager, SessionId, act, answer
from serve_app.routes.events import DEFAULT_WAIT_S, MAX_WAIT_S
from serve_app.schemas.base import Items
from serve_app.schemas.children import AnyChildren, CreateChild
from serve_app.schemas.sessions import CreatedSessions

router = APIRouter(tags=["children"])


@router.post("/v1/sessions/{session_id}/children", status_code=201, response_model=SessionInfo | CreatedSessions)
async def create_children(
    session_id: SessionId, body: AnyChildren, manager: Manager, command_id: CommandId
) -> Response:
    """Create a child without a task, or start many with one each: all of them or none.

    Those with a task begin by themselves, and what becomes of it is kept with this session.
    """
    if isinstance(body, CreateChild):
        child = await act(manager.create_child_session(session_id, body.session_id, body.config, command_id=command_id))
        return answer(await child.info(), 201, {"Location": f"/v1/sessions/{child.session_id}"})
    specs = [ChildSpec(prompt=one.prompt, session_id=one.session_id, config=one.config) for one in body.children]
    children = await act(manager.spawn_many(session_id, specs, command_id=command_id))
    return answer(CreatedSessions(session_ids=tuple(child.session_id for child in children)), 201)


@router.get("/v1/sessions/{session_id}/children", response_model=Items[str])
async def list_children(session_id: SessionId, manager: Manager) -> Response:
    """The ids of the children of this session."""
    return answer(Items[str](items=tuple(await manager.get_child_sessions(session_id))))


@router.get("/v1/sessions/{session_id}/tree", response_model=SessionTree)
async def get_tree(session_id: SessionId, manager: Manager) -> Response:
    """The session with everything below it, and what each has used and cost."""
    return answer(await manager.tree(session_id))


@router.get(
    "/v1/sessions/{session_id}/children/results",
    response_model=Items[ChildResult],
    responses={202: {"model": Items[ChildResult], "description": "The time ran out: how all of them stand."}},
)
async def get_child_results(
    session_id: SessionId,
    manager: Manager,
    wait: Annotated[
        Literal["first", "all"] | int | None,
        Query(description="Answer once the first, all, or so many have answered, with those answers."),
    ] = None,
    wait_s: Annotated[
        float, Query(alias="timeout", gt=0, le=MAX_WAIT_S, description="Longest wait in seconds.")
    ] = DEFAULT_WAIT_S,
) -> Response:
    """What became of the tasks of this session's children; without ``wait`` as it is now."""
    if wait is None:
        return answer(await _standing(manager, session_id))
    try:
        results = await manager.wait_children(session_id, wait, timeout=wait_s)
    except ChildrenPending:
        return answer(await _standing(manager, session_id), 202)
    return answer(Items[ChildResult](items=results))


async def _standing(manager: SessionManager, session_id: str) -> Items[ChildResult]:
    return Items[ChildResult](items=await manager.child_results(session_id))
