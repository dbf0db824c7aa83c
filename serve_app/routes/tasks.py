"""The task list of a session."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from actors.domain.tasks import Task
from serve_app.dependencies import CommandId, Manager, SessionId, act, answer
from serve_app.schemas.base import Items
from serve_app.schemas.tasks import SetTasks

router = APIRouter(tags=["tasks"])


@router.get("/v1/sessions/{session_id}/tasks", response_model=Items[Task])
async def get_tasks(session_id: SessionId, manager: Manager) -> Response:
    """What is to be done."""
    return answer(Items[Task](items=await manager.get_tasks(session_id)))


@router.put("/v1/sessions/{session_id}/tasks", response_model=Items[Task])
async def set_tasks(session_id: SessionId, body: SetTasks, manager: Manager, command_id: CommandId) -> Response:
    """Replace the whole list."""
    kept = await act(manager.set_tasks(session_id, body.tasks, command_id=command_id))
    return answer(Items[Task](items=kept))
