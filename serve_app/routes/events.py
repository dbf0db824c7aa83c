"""Inputs and events: send, page through the journal, follow it live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse

from actors.domain.events import Event
from actors.domain.records import Record
from actors.domain.turns import AgentResult, Receipt
from actors.errors import TurnPending
from actors.handle_mcp import Prompt
from serve_app import sse, sse_tree
from serve_app.dependencies import CommandId, Limit, Manager, SessionId, act, answer
from serve_app.schemas.base import Page
from serve_app.schemas.inputs import Accepted, AnyInput, McpPromptInput, MessageInput, PromptInput

DEFAULT_WAIT_S = 60.0
"""How long ``?wait=turn`` waits when nothing is said: clients and proxies often give up after this."""

MAX_WAIT_S = 600.0
"""Longest ``?wait=turn``; whoever wants to wait longer follows the events."""

router = APIRouter(tags=["events"])

_STREAM = {"description": "Server-sent events.", "content": {sse.MEDIA_TYPE: {"schema": {"type": "string"}}}}


@router.post(
    "/v1/sessions/{session_id}/events",
    status_code=202,
    response_model=Accepted,
    responses={
        200: {"model": AgentResult, "description": "The turn ended in time: its result.", "content": _STREAM["content"]}
    },
)
async def send_input(
    session_id: SessionId,
    body: AnyInput,
    manager: Manager,
    command_id: CommandId,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    wait: Annotated[Literal["turn"] | None, Query(description="Answer with the result of the turn.")] = None,
    wait_s: Annotated[
        float, Query(alias="timeout", gt=0, le=MAX_WAIT_S, description="Longest wait in seconds.")
    ] = DEFAULT_WAIT_S,
) -> Response:
    """Give the session an input. It is durable when this answers.

    Plain: 202 and a receipt. With ``?wait=turn``: 200 and the result; 202 when the time runs out, or as soon as the
    turn waits for a person. With ``Accept: text/event-stream``: the events of this turn as they come. The turn goes on
    whether the client stays or not; repeating the request with the same Idempotency-Key waits for the same turn.
    """
    prompt = _prompt(body)
    said: dict[str, Any] = {"output_type": body.output_schema, "on_busy": body.on_busy, "command_id": command_id}
    if sse.MEDIA_TYPE in (accept or ""):
        turn = await act(manager.generate_streaming(session_id, prompt, **said))
        return _streaming(aiter(turn), sse.Cursor(), session_id)
    receipt = await act(manager.send(session_id, prompt, **said))
    if wait is None:
        return answer(_accepted(receipt), 202)
    return await _wait(manager, receipt, wait_s, body.output_schema)


def _prompt(body: AnyInput) -> Prompt:
    match body:
        case PromptInput():
            return body.prompt
        case MessageInput():
            return body.message
        case McpPromptInput():
            return body.mcp_prompt


async def _wait(manager: Manager, receipt: Receipt, wait_s: float, schema: dict[str, Any] | None) -> Response:
    try:
        result = await manager.wait_turn(
            receipt.session_id, receipt, timeout=wait_s, until_action=True, output_type=schema
        )
        return answer(result)
    except TurnPending as pending:
        actions = (await manager.actions(receipt.session_id)).items
        return answer(_accepted(receipt, pending.why).model_copy(update={"actions": actions}), 202)


def _accepted(receipt: Receipt, why: str = "accepted") -> Accepted:
    return Accepted(**receipt.model_dump(), why=why)


@router.get("/v1/sessions/{session_id}/events", response_model=Page[Record])
async def list_events(
    session_id: SessionId,
    manager: Manager,
    after: Annotated[int, Query(ge=0, le=2**53, description="The seq to read after.")] = 0,
    limit: Limit = 100,
) -> Response:
    """Page through the journal."""
    records = await manager.records(session_id, after=after, limit=limit)
    following = str(records[-1].seq) if len(records) == limit else None
    return answer(Page[Record](items=records, next=following))


@router.get("/v1/sessions/{session_id}/events/stream", response_class=StreamingResponse, responses={200: _STREAM})
async def stream_events(
    session_id: SessionId,
    manager: Manager,
    after: Annotated[str, Query(description="The event id to go on after, such as 12 or 12.3.")] = "0",
    scope: Annotated[Literal["self", "tree"], Query(description="With all below it: tree.")] = "self",
    last_event_id: Annotated[str | None, Header(description="The same, as browsers send it; wins.")] = None,
    deltas: Annotated[bool, Query(description="Also what is not journaled: the pieces of running calls.")] = True,
) -> Response:
    """Follow the session: what there is after the given id, then what happens, until the client hangs up.

    With ``scope=tree`` an id names the place of each session of the stream; after a plain number, children that were
    started later are read from their beginning, and others from now on.
    """
    wanted = last_event_id if last_event_id is not None else after
    await manager.get_info(session_id)
    if scope == "tree":
        places = sse_tree.parse(wanted)
        events = manager.events(session_id, after=places, follow=True, deltas=deltas, tree=True)
        body = sse_tree.stream(events, instance=f"/v1/sessions/{session_id}/events/stream")
        return StreamingResponse(body, media_type=sse.MEDIA_TYPE, headers=sse.HEADERS)
    cursor = sse.Cursor.parse(wanted)
    events = manager.events(session_id, after=cursor.read_after, follow=True, deltas=deltas)
    return _streaming(events, cursor, session_id)


def _streaming(events: AsyncIterator[Event], cursor: sse.Cursor, session_id: str) -> Response:
    body = sse.stream(events, after=cursor, instance=f"/v1/sessions/{session_id}/events/stream")
    return StreamingResponse(body, media_type=sse.MEDIA_TYPE, headers=sse.HEADERS)
