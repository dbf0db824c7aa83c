"""What sessions wait for from people: one session's actions, the inbox over all, decisions."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.domain.actions import Action, ActionKind
from serve_app.dependencies import After, CommandId, Limit, Manager, SessionId, act, answer
from serve_app.schemas.base import Listing
from serve_app.schemas.policies import ResolveAction

router = APIRouter(tags=["actions"])


@router.get("/v1/actions", response_model=Listing[Action])
async def list_all_actions(
    manager: Manager, pending: bool = True, kind: ActionKind | None = None, limit: Limit = 100, after: After = None
) -> Response:
    """The inbox: actions of all sessions, or those of one kind."""
    page = await manager.actions(None, pending=pending, kind=kind, limit=limit, after=after)
    return answer(Listing[Action](items=page.items, next=page.next, unavailable=page.unavailable))


@router.get("/v1/sessions/{session_id}/actions", response_model=Listing[Action])
async def list_actions(
    session_id: SessionId,
    manager: Manager,
    scope: Annotated[Literal["self", "tree"], Query(description="Without those of its children: self.")] = "tree",
    pending: bool = True,
    kind: ActionKind | None = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """What this session and all below it wait for; with ``pending=false`` also what is settled."""
    page = await manager.actions(session_id, tree=scope == "tree", pending=pending, kind=kind, limit=limit, after=after)
    return answer(Listing[Action](items=page.items, next=page.next, unavailable=page.unavailable))


@router.post("/v1/sessions/{session_id}/actions/{action_id}", status_code=204, response_class=Response)
async def resolve_action(
    session_id: SessionId, action_id: str, body: ResolveAction, manager: Manager, command_id: CommandId
) -> Response:
    """Decide. The first decision wins.

    The action is this session's or that of one below it; ``action_id`` may also be a tool call id of its own open turn.
    """
    await act(
        manager.resolve_action(
            session_id,
            action_id,
            body.resolution,
            args=body.args,
            value=body.value,
            content=body.content,
            reason=body.reason,
            args_digest=body.args_digest,
            remember=body.remember,
            rule=body.rule,
            command_id=command_id,
        )
    )
    return Response(status_code=204)
