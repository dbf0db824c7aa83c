"""Who carries out the calls of a session's lanes, and the calls that wait for somebody outside."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from actors.domain.external_tasks import ExternalTask, ExternalTaskResult
from actors.domain.lanes import LaneHandlerConfig, SessionQueueConfig
from actors.domain.policies import SessionLane
from actors.errors import ExternalTaskNotFound
from serve_app.dependencies import After, CommandId, Limit, Manager, SessionId, act, answer
from serve_app.schemas.base import Items, Page
from serve_app.schemas.lanes import CompleteTask, Lanes, LeaseTask

router = APIRouter(tags=["lanes"])


@router.get("/v1/sessions/{session_id}/lanes", response_model=Lanes)
async def get_lanes(session_id: SessionId, manager: Manager) -> Response:
    """How the lanes stand: calls that wait, that are under way, what became of others, and what failed for good."""
    return answer(
        Lanes(
            stats=await manager.queue_stats(session_id),
            metrics=await manager.queue_metrics(session_id),
            dead_letters=tuple(await manager.dead_letters(session_id)),
        )
    )


@router.put("/v1/sessions/{session_id}/lanes", status_code=204, response_class=Response)
async def set_queue_config(
    session_id: SessionId, body: SessionQueueConfig, manager: Manager, command_id: CommandId
) -> Response:
    """Replace the whole configuration of the lanes, handlers included."""
    await act(manager.set_queue_config(session_id, body, command_id=command_id))
    return Response(status_code=204)


@router.get("/v1/sessions/{session_id}/lanes/{lane}", response_model=LaneHandlerConfig)
async def get_lane_handler(session_id: SessionId, lane: SessionLane, manager: Manager) -> Response:
    """Who carries out the calls of a lane."""
    return answer(await manager.get_lane_handler(session_id, lane))


@router.put("/v1/sessions/{session_id}/lanes/{lane}", response_model=LaneHandlerConfig)
async def set_lane_handler(
    session_id: SessionId, lane: SessionLane, body: LaneHandlerConfig, manager: Manager, command_id: CommandId
) -> Response:
    """Change who carries out the calls of a lane, from the next one that begins on."""
    return answer(await act(manager.set_lane_handler(session_id, lane, body, command_id=command_id)))


@router.get("/v1/sessions/{session_id}/external-tasks", response_model=Items[ExternalTask])
async def list_external_tasks(session_id: SessionId, manager: Manager) -> Response:
    """The calls of the open turn that wait for somebody outside."""
    return answer(Items[ExternalTask](items=tuple(await manager.pending_external_tasks(session_id))))


@router.get("/v1/external-tasks", response_model=Page[ExternalTask])
async def list_all_external_tasks(manager: Manager, limit: Limit = 100, after: After = None) -> Response:
    """What somebody outside can do for any session, oldest first; claimed tasks are among them."""
    page = await manager.external_tasks(limit=limit, after=after)
    return answer(Page[ExternalTask](items=page.items, next=page.next))


@router.post("/v1/sessions/{session_id}/external-tasks/{task_id}/lease", response_model=ExternalTask)
async def lease_external_task(
    session_id: SessionId, task_id: str, body: LeaseTask, manager: Manager, command_id: CommandId
) -> Response:
    """Claim a task, or prolong a claim. ``lease.lease_id`` of the answer goes with the result."""
    task = manager.lease_external_task(
        session_id,
        task_id,
        worker=body.worker,
        lease_s=body.lease_s,
        lease_id=body.lease_id,
        command_id=command_id,
    )
    return answer(await act(task))


@router.post("/v1/sessions/{session_id}/external-tasks/{task_id}", status_code=204, response_class=Response)
async def complete_external_task(session_id: SessionId, task_id: str, body: CompleteTask, manager: Manager) -> Response:
    """Say what came of a task: the turn goes on with it. Saying the same again changes nothing."""
    result = ExternalTaskResult(success=body.success, result=body.result, error=body.error)
    if not await act(manager.complete_external_task(session_id, task_id, result, lease_id=body.lease_id)):
        raise ExternalTaskNotFound(task_id)
    return Response(status_code=204)
