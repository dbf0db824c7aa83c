"""What a session may do: permission and confirmation policy."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from actors.domain.permissions import PermissionPolicy
from actors.reading.dry_run import DryRun
from serve_app.dependencies import Manager, SessionId, act, answer
from serve_app.schemas.policies import AddRule, CheckPermission, Decision, Policies, SetPolicies, TryPolicy

router = APIRouter(tags=["policies"])


@router.get("/v1/sessions/{session_id}/policy", response_model=Policies)
async def get_policy(session_id: SessionId, manager: Manager) -> Response:
    """Both policies as in force."""
    return answer(await _policies(manager, session_id))


@router.put("/v1/sessions/{session_id}/policy", response_model=Policies)
async def set_policy(session_id: SessionId, body: SetPolicies, manager: Manager) -> Response:
    """Replace the permission policy, the confirmation policy, or both."""
    if "permission" in body.model_fields_set:
        await act(manager.set_permission_policy(session_id, body.permission))
    if body.confirmation is not None:
        await act(manager.set_confirmation_policy(session_id, body.confirmation))
    return answer(await _policies(manager, session_id))


async def _policies(manager: Manager, session_id: str) -> Policies:
    return Policies(
        permission=await manager.get_permission_policy(session_id),
        confirmation=await manager.get_confirmation_policy(session_id),
    )


@router.post("/v1/sessions/{session_id}/permissions/check", response_model=Decision)
async def check_permission(session_id: SessionId, body: CheckPermission, manager: Manager) -> Response:
    """Ask what the permission policy says of a call, without making it."""
    return answer(Decision(decision=await manager.check_permission(session_id, body.tool, body.args)))


@router.post("/v1/sessions/{session_id}/permissions/rules", response_model=PermissionPolicy)
async def add_permission_rule(session_id: SessionId, body: AddRule, manager: Manager) -> Response:
    """Add a rule to the session's permission policy; the answer is the policy now."""
    return answer(await act(manager.add_permission_rule(session_id, body.kind, body.rule)))


@router.post("/v1/sessions/{session_id}/permissions/dry-run", response_model=DryRun)
async def dry_run_policy(session_id: SessionId, body: TryPolicy, manager: Manager) -> Response:
    """What a policy would have said of the calls in the session's journal. Changes nothing."""
    return answer(await manager.dry_run_policy(session_id, body.policy, after=body.after, limit=body.limit))
