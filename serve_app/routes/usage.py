"""Tokens and money, by model and by day; tool calls, by tool."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.domain.security import SecurityReport
from actors.domain.tool_metrics import ToolMetrics
from actors.domain.usage import UsageReport
from serve_app.dependencies import Manager, SessionId, answer

router = APIRouter(tags=["usage"])

Since = Annotated[date | None, Query(description="The first day, in UTC.")]
Model = Annotated[str | None, Query(description="Of one model only, as provider/model.")]
Until = Annotated[date | None, Query(description="The last day, in UTC.")]


@router.get("/v1/usage", response_model=UsageReport)
async def get_usage(manager: Manager, model: Model = None, since: Since = None, until: Until = None) -> Response:
    """What the model calls of all sessions took."""
    return answer(await manager.usage(model=model, since=since, until=until))


@router.get("/v1/sessions/{session_id}/usage", response_model=UsageReport)
async def get_session_usage(
    session_id: SessionId,
    manager: Manager,
    scope: Annotated[Literal["self", "tree"], Query(description="With all that descends from it: tree.")] = "self",
    model: Model = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """What the model calls of the session took."""
    return answer(await manager.usage(session_id, tree=scope == "tree", model=model, since=since, until=until))


@router.get("/v1/sessions/{session_id}/tool-metrics", response_model=ToolMetrics)
async def get_tool_metrics(session_id: SessionId, manager: Manager) -> Response:
    """How often each tool was called, how that ended, and how long it took."""
    return answer(await manager.tool_metrics(session_id))


@router.get("/v1/sessions/{session_id}/security", response_model=SecurityReport)
async def get_security_report(session_id: SessionId, manager: Manager) -> Response:
    """What was withheld in a session, and what gave orders to its model: labels and counts."""
    return answer(await manager.security_report(session_id))
