"""What tool calls did, as the journal tells it: every status, several attempts, pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import Resolution
from actors.domain.calls import Outcome, ToolCall
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import OnInDoubt
from actors.domain.session import SessionConfig
from actors.domain.tools import EffectClass
from actors.reading.effects import Effect, EffectStatus, effects_of
from actors.session.plan import CallAnswered
from tests.unit.session.world import TOOLS, World, answered, plain_outcome


def _calling(*tools: str, **values: Any) -> World:
    world = World(SessionConfig(permission_policy=PermissionPolicy.permissive(), **values))
    world.send()
    uses = [ToolUseBlock(id=f"u{number}", name=tool, input={"n": number}) for number, tool in enumerate(tools)]
    world.answer(world.running[0], Message.assistant("", *uses))
    return world


def _tool_call(world: World) -> ToolCall:
    call = world.running[0]
    assert isinstance(call, ToolCall)
    return call


class Journal:
    """Records as a reader gets them; ``taken`` counts those that it asked for."""

    def __init__(self, records: list[r.Record]) -> None:
        self._records = records
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[r.Record]:
        for record in self._records:
            self.taken += 1
            yield record


async def _effects(world: World, *, after: int = 0, limit: int = 100) -> tuple[Effect, ...]:
    records = [record for record in world.records if record.seq > after]
    return await effects_of(aiter(Journal(records)), limit=limit)


async def _stand(world: World) -> list[tuple[int, EffectStatus, Outcome | None]]:
    return [(one.attempt, one.status, one.outcome) for one in await _effects(world)]


async def test_a_session_without_tool_calls_has_no_effects() -> None:
    world = World()
    world.send()
    assert await _effects(world) == ()


async def test_a_call_that_runs_is_started_and_says_where_and_what_it_is() -> None:
    world = _calling("act")
    call = _tool_call(world)
    (started,) = [record for record in world.records if isinstance(record, r.ToolCallStarted)]
    assert await _effects(world) == (
        Effect(
            call_id=call.call_id,
            attempt=1,
            tool="act",
            status=EffectStatus.started,
            seq=started.seq,
            turn_id=call.turn_id,
            effect=EffectClass.unsafe,
            host=TOOLS,
        ),
    )


async def test_a_call_that_ended_is_settled_with_its_outcome() -> None:
    world = _calling("act")
    world.result(_tool_call(world), outcome=Outcome.error)
    assert await _stand(world) == [(1, EffectStatus.settled, Outcome.error)]


async def test_every_attempt_has_a_line_of_its_own_under_one_identity() -> None:
    world = _calling("put")
    world.lose(_tool_call(world))
    world.lose(_tool_call(world))
    world.result(_tool_call(world))
    assert await _stand(world) == [
        (1, EffectStatus.in_doubt, None),
        (2, EffectStatus.in_doubt, None),
        (3, EffectStatus.settled, Outcome.ok),
    ]
    found = await _effects(world)
    assert len({one.call_id for one in found}) == 1
    assert len({one.seq for one in found}) == 3


async def test_a_call_in_doubt_is_settled_by_what_a_person_says_of_it() -> None:
    world = _calling("act")
    world.lose(_tool_call(world))
    assert await _stand(world) == [(1, EffectStatus.in_doubt, None)]
    (action,) = world.state.actions
    answer = c.ResolveAction(
        **world.identity(), action_id=action.action_id, resolution=Resolution.answer, value="it worked"
    )
    world.tell(answer)
    assert await _stand(world) == [(1, EffectStatus.settled, Outcome.ok)]


async def test_a_call_in_doubt_that_is_reported_is_settled_as_unknown() -> None:
    world = _calling("act", on_in_doubt=OnInDoubt.report)
    world.lose(_tool_call(world))
    assert await _stand(world) == [(1, EffectStatus.settled, Outcome.unknown)]


async def test_an_outcome_that_came_after_its_call_was_closed_is_late() -> None:
    world = _calling("act")
    call = _tool_call(world)
    world.tell(c.Cancel(**world.identity()))
    world.result(call, outcome=Outcome.unknown)
    assert await _stand(world) == [(1, EffectStatus.settled, Outcome.unknown)]
    world.happen(CallAnswered(answered(call, plain_outcome(call))))
    assert await _stand(world) == [(1, EffectStatus.late, Outcome.ok)]


async def test_pages_begin_after_a_seq_and_know_how_their_effects_ended() -> None:
    world = _calling("look", "look", "look")
    for call in world.running:
        world.result(call)
    whole = await _effects(world)
    first = await _effects(world, limit=2)
    assert first == whole[:2]
    assert await _effects(world, after=first[-1].seq, limit=2) == whole[2:]
    assert {one.status for one in whole} == {EffectStatus.settled}


async def test_a_full_page_of_settled_effects_is_not_read_beyond_its_last_outcome() -> None:
    world = _calling("act")
    world.result(_tool_call(world))
    for _ in range(5):
        world.settle()
        world.send()
    (ended,) = [record for record in world.records if isinstance(record, r.ToolCallCompleted)]
    journal = Journal(world.records)
    await effects_of(aiter(journal), limit=1)
    assert journal.taken == ended.seq
