"""What came of inputs: turns, effects, queued inputs, messages, context."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.domain.messages import Message
from actors.domain.session import ContextUsage
from actors.handle_reads import PendingInput
from actors.reading.effects import Effect
from actors.reading.turns import TurnInfo
from serve_app.dependencies import CommandId, Limit, Manager, SessionId, act, answer
from serve_app.problems import TurnNotFound
from serve_app.schemas.base import Changed, Items, Page
from serve_app.schemas.inputs import AddedMessage

router = APIRouter(tags=["turns"])

At = Annotated[
    int | None, Query(ge=1, le=2**53, description="As it was after the record with this seq; the last one when absent.")
]
"""A place in the journal to look at."""


@router.get("/v1/sessions/{session_id}/turns", response_model=Items[TurnInfo])
async def list_turns(session_id: SessionId, manager: Manager, limit: Limit = 100) -> Response:
    """The newest turns of the session, the oldest of them first."""
    return answer(Items[TurnInfo](items=tuple((await manager.turns(session_id))[-limit:])))


@router.get("/v1/sessions/{session_id}/turns/{turn_id}", response_model=TurnInfo)
async def get_turn(session_id: SessionId, turn_id: str, manager: Manager) -> Response:
    """One turn: status, usage, result."""
    turn = await manager.turn(session_id, turn_id)
    if turn is None:
        raise TurnNotFound(
            f"Session {session_id!r} has no turn {turn_id[:140]!r}. List its turns to see what there is."
        )
    return answer(turn)


@router.get("/v1/sessions/{session_id}/effects", response_model=Page[Effect])
async def list_effects(
    session_id: SessionId,
    manager: Manager,
    after: Annotated[int, Query(ge=0, le=2**53, description="The seq of the effect to read after.")] = 0,
    limit: Limit = 100,
) -> Response:
    """What tool calls did, or may have done: one line per attempt, oldest first."""
    page = await manager.effects(session_id, after=after, limit=limit)
    return answer(Page[Effect](items=page, next=str(page[-1].seq) if len(page) == limit else None))


@router.get("/v1/sessions/{session_id}/inputs", response_model=Items[PendingInput])
async def list_inputs(session_id: SessionId, manager: Manager) -> Response:
    """Inputs that no turn has taken yet."""
    return answer(Items[PendingInput](items=tuple(await manager.pending_inputs(session_id))))


@router.delete("/v1/sessions/{session_id}/inputs/{input_id}", response_model=Changed)
async def withdraw_input(session_id: SessionId, input_id: str, manager: Manager) -> Response:
    """Take back an input that no turn has taken yet."""
    await act(manager.withdraw_input(session_id, input_id))
    return answer(Changed(changed=True))


@router.get("/v1/sessions/{session_id}/messages", response_model=Items[Message])
async def list_messages(session_id: SessionId, manager: Manager, at: At = None) -> Response:
    """The conversation as the model sees it, or saw it then."""
    return answer(Items[Message](items=await manager.history(session_id, at=at)))


@router.post("/v1/sessions/{session_id}/messages", status_code=201, response_model=AddedMessage)
async def add_message(session_id: SessionId, body: Message, manager: Manager, command_id: CommandId) -> Response:
    """Put a message into the context without starting a turn."""
    seq = await act(manager.add_message(session_id, body, command_id=command_id))
    return answer(AddedMessage(seq=seq), 201)


@router.get("/v1/sessions/{session_id}/context", response_model=ContextUsage)
async def get_context(session_id: SessionId, manager: Manager, at: At = None) -> Response:
    """How full the context is, or was then."""
    return answer(await manager.context_usage(session_id, at=at))
