"""Sessions: create, list, look, configure, destroy."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.domain.ids import derived_id, new_ulid
from actors.domain.llm import LlmConfig
from actors.domain.session import Activity, SessionInfo, SessionState
from actors.errors import InvalidRequest
from serve_app.dependencies import After, CommandId, Limit, Manager, SessionId, act, answer
from serve_app.schemas.base import Changed, Listing
from serve_app.schemas.sessions import ConfigureSession, CreatedSessions, CreateSession, CreateSessions

router = APIRouter(tags=["sessions"])


@router.post("/v1/sessions", status_code=201, response_model=SessionInfo)
async def create_session(body: CreateSession, manager: Manager, command_id: CommandId) -> Response:
    """Create a session. Nothing is started: its first input does that."""
    session_id = body.session_id if body.session_id is not None else _made_up_id(command_id)
    session = await act(manager.create_session(session_id, body.config, store=body.store, command_id=command_id))
    return answer(await session.info(), 201, {"Location": f"/v1/sessions/{session_id}"})


def _made_up_id(command_id: str | None) -> str:
    """A new id; the same one for a repeated request."""
    return derived_id("s-", command_id) if command_id else f"s-{new_ulid().lower()}"


@router.post("/v1/sessions/bulk", status_code=201, response_model=CreatedSessions)
async def create_sessions(body: CreateSessions, manager: Manager, command_id: CommandId) -> Response:
    """Create many sessions of one configuration in one transaction: all of them or none."""
    await act(manager.create_sessions(body.session_ids, body.config, store=body.store, command_id=command_id))
    return answer(CreatedSessions(session_ids=body.session_ids), 201)


@router.get("/v1/sessions", response_model=Listing[SessionInfo])
async def list_sessions(
    manager: Manager,
    limit: Limit = 100,
    after: After = None,
    state: SessionState | None = None,
    activity: Activity | None = None,
    parent_id: str | None = None,
    roots_only: bool = False,
    name_contains: Annotated[str | None, Query(max_length=256)] = None,
) -> Response:
    """List sessions, page by page."""
    page = await manager.list_sessions(
        limit=limit,
        after=after,
        state=state,
        activity=activity,
        parent_id=parent_id,
        roots_only=roots_only,
        name_contains=name_contains,
    )
    return answer(Listing[SessionInfo](items=page.items, next=page.next, unavailable=page.unavailable))


@router.get("/v1/sessions/{session_id}", response_model=SessionInfo)
async def get_session(session_id: SessionId, manager: Manager) -> Response:
    """Look at one session."""
    return answer(await manager.get_info(session_id))


@router.patch("/v1/sessions/{session_id}", response_model=SessionInfo)
async def configure_session(
    session_id: SessionId, body: ConfigureSession, manager: Manager, command_id: CommandId
) -> Response:
    """Change name, model, thinking, budget, system prompt or what is withheld."""
    changes = _changes(body)
    if changes:
        await act(manager.configure(session_id, **changes, command_id=command_id))
    return answer(await manager.get_info(session_id))


def _changes(body: ConfigureSession) -> dict[str, Any]:
    model = LlmConfig.of(body.model) if isinstance(body.model, str) else body.model
    values: dict[str, Any] = {
        "name": body.name,
        "model_config": model,
        "thinking": body.thinking,
        "thinking_budget": body.thinking_budget,
        "budget": body.budget,
    }
    if "security" in body.model_fields_set:
        values["security"] = body.security or "default"
    if "system_prompt" in body.model_fields_set:
        values["system_prompt"] = body.system_prompt or ""
    return {name: value for name, value in values.items() if value is not None}


@router.delete("/v1/sessions/{session_id}", response_model=Changed)
async def destroy_session(
    session_id: SessionId, manager: Manager, command_id: CommandId, purge: bool = False, cascade: bool = False
) -> Response:
    """Destroy a session and its journal. One that does not exist is no error.

    With ``purge`` the answer comes when nothing is left that only this session had; with ``cascade`` everything below
    it is destroyed first.
    """
    if purge and cascade:
        raise InvalidRequest("Destroy what is below first (cascade), then purge.")
    if purge:
        return answer(Changed(changed=await act(manager.purge_session(session_id, command_id=command_id))))
    ended = manager.destroy_session(session_id, cascade=cascade, command_id=command_id)
    return answer(Changed(changed=await act(ended)))
