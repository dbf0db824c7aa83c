"""The protocol of effect hosts, rule by rule, on an executor whose calls end when the test says so."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from actors import errors
from actors.domain.calls import (
    OUTCOME,
    UNCLEAR,
    CallKey,
    CallStatus,
    Delta,
    Emit,
    HostRef,
    ModelCall,
    ModelOutcome,
    Outcome,
    Reconciled,
    ToolCall,
    ToolOutcome,
)
from actors.domain.llm import LlmConfig
from actors.domain.tools import EffectClass
from actors.effect_host import EffectHost, HostLimits, HostStats
from tests.unit.unclear import Unclear

_JOURNAL = "01J"
_VIEWER: contextvars.ContextVar[str] = contextvars.ContextVar("viewer", default="nobody")


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Stage(Unclear):
    """An executor: each call waits for its own future; ``ignore_cancel`` makes calls hold on when cancelled."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.viewers: list[str] = []
        self.emits: dict[str, Emit] = {}
        self.changed = asyncio.Event()
        self.ignore_cancel = False
        self._ends: dict[str, asyncio.Future[ToolOutcome]] = {}

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ToolOutcome:
        end: asyncio.Future[ToolOutcome] = asyncio.get_running_loop().create_future()
        self._ends[call.call_id] = end
        self.started.append((call.call_id, call.attempt))
        self.viewers.append(_VIEWER.get())
        self.emits[call.call_id] = emit
        self.changed.set()
        while True:
            try:
                return await asyncio.shield(end)
            except asyncio.CancelledError:
                if not self.ignore_cancel:
                    raise

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ToolOutcome:
        return ToolOutcome(outcome=Outcome.cancelled, content="".join(delta.text for delta in deltas))

    def end(self, call_id: str, content: str = "done") -> None:
        self._ends[call_id].set_result(ToolOutcome(outcome=Outcome.ok, content=content))

    def fail(self, call_id: str, error: BaseException) -> None:
        self._ends[call_id].set_exception(error)


class _Sink:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str, int], bytes] = {}
        self.failing = False

    async def save(self, tenant: str, journal_id: str, call_id: str, attempt: int, outcome: bytes) -> None:
        if self.failing:
            raise errors.StoreUnavailable("down")
        self.rows.setdefault((tenant, journal_id, call_id, attempt), outcome)

    async def save_facts(self, tenant: str, journal_id: str, call_id: str, attempt: int, facts: bytes) -> None:
        raise AssertionError("no tool records anything here")


class _World:
    def __init__(self, limits: HostLimits | None = None) -> None:
        self.clock = _Clock()
        self.stage = _Stage()
        self.sink = _Sink()
        self.host = EffectHost("tools-1", self.stage, self.sink, limits, self.clock)
        self.incarnation = self.host.ref.incarnation

    def call(self, name: str = "c1", epoch: int = 1, attempt: int = 1, journal: str = _JOURNAL) -> ToolCall:
        return ToolCall(
            call_id=name,
            attempt=attempt,
            tenant="default",
            journal_id=journal,
            session_id="s",
            turn_id="t",
            epoch=epoch,
            host=self.host.ref,
            tool_use_id="u",
            name="bash",
            args={},
        )

    async def running(self, name: str = "c1", epoch: int = 1, journal: str = _JOURNAL) -> asyncio.Task[object]:
        """A caller of ``run`` whose call has begun."""
        caller: asyncio.Task[object] = asyncio.create_task(self.host.run(self.call(name, epoch, journal=journal)))
        await self.until(lambda: (name, 1) in self.stage.started)
        return caller

    async def settled(self, name: str = "c1", content: str = "done") -> None:
        caller = await self.running(name)
        self.stage.end(name, content)
        await caller

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                self.stage.changed.clear()
                await self.stage.changed.wait()

    async def counts(self, true: Callable[[HostStats], bool]) -> None:
        """Let the loop run until the host's counts are as wanted."""
        for _ in range(1000):
            if true(await self.host.stats()):
                return
            await asyncio.sleep(0)
        raise AssertionError(f"the host came to rest at {await self.host.stats()}")

    async def status(self, name: str = "c1", epoch: int = 1) -> CallStatus:
        (answer,) = await self.host.attach(_JOURNAL, epoch, self.incarnation, [CallKey(call_id=name)])
        return answer.status

    async def cancel(self, name: str = "c1", epoch: int = 1):
        return await self.host.cancel(CallKey(call_id=name), epoch, _JOURNAL, self.incarnation)

    async def ack(self, name: str = "c1", epoch: int = 1, journal: str = _JOURNAL) -> None:
        await self.host.ack(journal, epoch, self.incarnation, [CallKey(call_id=name)])


_Opener = Callable[..., _World]


@pytest.fixture
async def open_world() -> AsyncIterator[_Opener]:
    worlds: list[_World] = []

    def open_it(**limits: float) -> _World:
        worlds.append(_World(HostLimits(**limits)) if limits else _World())  # pyright: ignore[reportArgumentType]
        return worlds[-1]

    yield open_it
    for world in worlds:
        world.stage.ignore_cancel = False
        await world.host.close()


@pytest.fixture
def world(open_world: _Opener) -> _World:
    return open_world()


# --- run ------------------------------------------------------------------------------------------------------------


async def test_run_answers_with_the_outcome_when_the_call_settles(world: _World) -> None:
    caller = asyncio.create_task(world.host.run(world.call()))
    await world.until(lambda: bool(world.stage.started))
    world.stage.end("c1", "hello")

    answer = await caller

    assert answer.status is CallStatus.settled
    assert isinstance(answer.outcome, ToolOutcome)
    assert answer.outcome.content == "hello"


async def test_two_runs_of_one_attempt_execute_it_once_and_both_get_the_outcome(world: _World) -> None:
    first = await world.running()
    second = asyncio.create_task(world.host.run(world.call()))
    world.stage.end("c1")

    assert await first == await second
    assert world.stage.started == [("c1", 1)]


async def test_a_new_attempt_is_a_call_of_its_own(world: _World) -> None:
    await world.settled()
    second = asyncio.create_task(world.host.run(world.call(attempt=2)))
    await world.until(lambda: ("c1", 2) in world.stage.started)
    world.stage.end("c1")

    assert (await second).key == CallKey(call_id="c1", attempt=2)


async def test_a_call_outlives_the_caller_that_started_it(world: _World) -> None:
    caller = await world.running()
    caller.cancel()
    await asyncio.wait([caller])
    assert await world.status() is CallStatus.running
    again = asyncio.create_task(world.host.run(world.call()))
    world.stage.end("c1")

    assert (await again).status is CallStatus.settled
    assert world.stage.started == [("c1", 1)]


async def test_a_call_runs_in_a_context_of_its_own(world: _World) -> None:
    _VIEWER.set("somebody")

    await world.settled()

    assert world.stage.viewers == ["nobody"]


async def test_a_run_that_meets_a_settled_call_gets_its_outcome_and_never_executes(world: _World) -> None:
    await world.settled(content="first")

    answer = await world.host.run(world.call(epoch=2))

    assert isinstance(answer.outcome, ToolOutcome)
    assert answer.outcome.content == "first"
    assert world.stage.started == [("c1", 1)]


@pytest.mark.parametrize(
    ("effect", "expected"), [("pure", Outcome.error), ("idempotent", Outcome.unknown), ("unsafe", Outcome.unknown)]
)
async def test_an_executor_that_raises_tells_nothing_but_the_kind_and_what_may_have_run_is_unknown(
    world: _World, effect: str, expected: Outcome
) -> None:
    call = world.call().model_copy(update={"effect": EffectClass(effect)})
    caller = asyncio.create_task(world.host.run(call))
    await world.until(lambda: bool(world.stage.started))
    world.stage.fail("c1", ValueError("secret"))

    outcome = (await caller).outcome

    assert isinstance(outcome, ToolOutcome)
    assert outcome.outcome is expected
    assert "ValueError" in outcome.content
    assert "secret" not in outcome.content


async def test_an_outcome_that_cannot_be_written_is_none(world: _World) -> None:
    caller = asyncio.create_task(world.host.run(world.call()))
    await world.until(lambda: bool(world.stage.started))
    world.stage.end("c1", "half of a pair: \ud800")

    answer = await caller
    attached = await world.host.run(world.call())

    assert isinstance(answer.outcome, ToolOutcome) and answer.outcome.outcome is Outcome.unknown
    assert attached.outcome == answer.outcome and answer.outcome.model_dump_json()
    assert (await world.host.stats()).retained_bytes > 0


async def test_an_executor_cancelled_from_within_gives_an_unknown_and_not_a_cancelled_call(world: _World) -> None:
    caller = asyncio.create_task(world.host.run(world.call()))
    await world.until(lambda: bool(world.stage.started))
    world.stage.fail("c1", asyncio.CancelledError())

    answer = await caller

    assert answer.status is CallStatus.settled
    assert answer.outcome is not None
    assert answer.outcome.outcome is Outcome.unknown


async def test_a_broken_model_executor_gives_a_model_outcome(world: _World) -> None:
    call = ModelCall(
        call_id="m",
        tenant="default",
        journal_id=_JOURNAL,
        session_id="s",
        turn_id="t",
        epoch=1,
        host=world.host.ref,
        llm=LlmConfig.of("scripted/echo"),
    )
    caller = asyncio.create_task(world.host.run(call))
    await world.until(lambda: bool(world.stage.started))
    world.stage.fail("m", KeyError("x"))

    outcome = (await caller).outcome

    assert isinstance(outcome, ModelOutcome)
    assert (outcome.outcome, outcome.provider, outcome.error_code) == (Outcome.error, "scripted", "InternalError")


# --- fences ---------------------------------------------------------------------------------------------------------


async def test_another_incarnation_is_refused_by_every_request(world: _World) -> None:
    key = CallKey(call_id="c1")
    stranger = world.call().model_copy(update={"host": HostRef(host_id="tools-1", incarnation="old")})
    for request in (
        world.host.run(stranger),
        world.host.attach(_JOURNAL, 1, "old", [key]),
        world.host.cancel(key, 1, _JOURNAL, "old"),
        world.host.ack(_JOURNAL, 1, "old", [key]),
    ):
        with pytest.raises(errors.HostGone):
            await request
    assert world.stage.started == []


async def test_an_older_epoch_is_refused_once_a_newer_one_was_seen_even_for_unknown_calls(world: _World) -> None:
    await world.host.attach(_JOURNAL, 2, world.incarnation, [])

    with pytest.raises(errors.Fenced) as refused:
        await world.host.run(world.call(epoch=1))

    assert (refused.value.epoch, refused.value.current) == (1, 2)
    assert world.stage.started == []


async def test_fences_of_different_journals_are_apart(world: _World) -> None:
    await world.host.attach("other", 9, world.incarnation, [])

    await world.settled()

    assert world.stage.started == [("c1", 1)]


async def test_a_call_that_waits_for_a_place_does_not_begin_after_a_newer_epoch_came(open_world: _Opener) -> None:
    world = open_world(running=1)
    blocker = await world.running("blocker", journal="other")
    waiting = asyncio.create_task(world.host.run(world.call("queued", epoch=1)))
    await world.counts(lambda stats: stats.open == 2)
    await world.host.attach(_JOURNAL, 2, world.incarnation, [])
    world.stage.end("blocker")
    await blocker

    with pytest.raises(errors.Fenced):
        await waiting
    assert await world.status("queued", epoch=2) is CallStatus.never_seen
    assert world.stage.started == [("blocker", 1)]


async def test_a_waiting_call_that_the_newer_epoch_attaches_to_begins_for_it(open_world: _Opener) -> None:
    world = open_world(running=1)
    blocker = await world.running("blocker", journal="other")
    waiting = asyncio.create_task(world.host.run(world.call("queued", epoch=1)))
    await world.counts(lambda stats: stats.open == 2)
    assert await world.status("queued", epoch=2) is CallStatus.running
    world.stage.end("blocker")
    await blocker
    await world.until(lambda: ("queued", 1) in world.stage.started)
    world.stage.end("queued")

    assert (await waiting).status is CallStatus.settled


async def test_a_call_cannot_be_touched_through_another_journal(world: _World) -> None:
    caller = await world.running()

    with pytest.raises(errors.InvalidRequest):
        await world.host.cancel(CallKey(call_id="c1"), 1, "other", world.incarnation)

    world.stage.end("c1")
    await caller


# --- attach ---------------------------------------------------------------------------------------------------------


async def test_attach_tells_running_settled_cancelled_and_never_seen_apart(world: _World) -> None:
    await world.settled("done")
    await world.running("busy")
    await world.running("stopped")
    await world.cancel("stopped")
    keys = [CallKey(call_id=name) for name in ("done", "busy", "stopped", "unheard")]

    answers = await world.host.attach(_JOURNAL, 2, world.incarnation, keys)

    assert [answer.key for answer in answers] == keys
    assert [answer.status for answer in answers] == [
        CallStatus.settled,
        CallStatus.running,
        CallStatus.cancelled,
        CallStatus.never_seen,
    ]
    assert [answer.outcome is not None for answer in answers] == [True, False, True, False]


async def test_attach_acknowledges_what_the_session_calls_settled(world: _World) -> None:
    await world.settled()

    await world.host.attach(_JOURNAL, 2, world.incarnation, [], [CallKey(call_id="c1")])

    assert (await world.host.stats()).unacknowledged == 0
    assert await world.status(epoch=2) is CallStatus.settled_dropped


# --- cancel ---------------------------------------------------------------------------------------------------------


async def test_cancel_gives_what_the_call_had_put_out_and_ends_its_waiters(world: _World) -> None:
    caller = await world.running()
    world.stage.emits["c1"]("output", "half")

    answer = await world.cancel()

    assert answer.status is CallStatus.cancelled
    assert isinstance(answer.outcome, ToolOutcome)
    assert answer.outcome.content == "half"
    assert await caller == answer


async def test_cancel_of_a_call_that_waits_for_a_place_ends_it_before_it_begins(open_world: _Opener) -> None:
    world = open_world(running=1)
    await world.running("blocker")
    waiting = asyncio.create_task(world.host.run(world.call("queued")))
    await world.counts(lambda stats: stats.open == 2)

    answer = await world.cancel("queued")

    assert answer.status is CallStatus.cancelled
    assert await waiting == answer
    assert world.stage.started == [("blocker", 1)]


async def test_cancel_of_a_settled_call_gives_its_outcome(world: _World) -> None:
    await world.settled()

    assert (await world.cancel()).status is CallStatus.settled


async def test_a_run_after_a_cancel_of_the_unseen_call_never_executes(world: _World) -> None:
    cancelled = await world.cancel("late")

    answer = await world.host.run(world.call("late"))

    assert answer == cancelled
    assert (answer.status, answer.outcome) == (CallStatus.cancelled, None)
    assert world.stage.started == []


async def test_a_call_that_does_not_end_when_cancelled_is_unknown_and_its_outcome_is_found_later(
    open_world: _Opener,
) -> None:
    world = open_world(cancel_s=0.01)
    world.stage.ignore_cancel = True
    caller = await world.running()

    answer = await world.cancel()

    assert answer.status is CallStatus.running
    assert answer.outcome is not None
    assert answer.outcome.outcome is Outcome.unknown
    world.stage.end("c1")
    await caller
    assert await world.status() is CallStatus.settled


# --- acknowledgement and memory -------------------------------------------------------------------------------------


async def test_an_acknowledged_call_is_freed_and_its_late_duplicate_never_executes(world: _World) -> None:
    await world.settled()
    await world.ack()
    world.clock.now += 599

    answer = await world.host.run(world.call())

    assert (answer.status, answer.outcome) == (CallStatus.settled_dropped, None)
    assert (await world.host.stats()).retained_bytes == 0
    assert world.stage.started == [("c1", 1)]


async def test_an_acknowledged_id_is_forgotten_after_ten_minutes(world: _World) -> None:
    await world.settled()
    await world.ack()
    world.clock.now += 661

    assert await world.status() is CallStatus.never_seen
    assert (await world.host.stats()).known == 0


async def test_an_acknowledged_call_that_still_runs_is_freed_when_it_settles(world: _World) -> None:
    caller = await world.running()
    await world.ack()
    world.stage.end("c1")
    await caller

    stats = await world.host.stats()
    assert (stats.unacknowledged, stats.retained_bytes, stats.known) == (0, 0, 1)


async def test_an_acknowledged_call_that_was_never_seen_does_not_execute_when_it_comes(world: _World) -> None:
    await world.ack("late")

    assert (await world.host.run(world.call("late"))).status is CallStatus.settled_dropped
    assert world.stage.started == []


async def test_a_waiter_gets_the_outcome_although_somebody_else_acknowledges_it_at_once(world: _World) -> None:
    caller = asyncio.create_task(world.host.run(world.call()))
    await world.until(lambda: bool(world.stage.started))
    settled = asyncio.create_task(world.host.poll_many([(CallKey(call_id="c1"), 0)]))
    world.stage.end("c1")
    await settled
    await world.ack()

    assert (await caller).outcome is not None


async def test_over_the_bound_of_known_calls_new_ones_are_refused_and_known_ones_still_answer(
    open_world: _Opener,
) -> None:
    world = open_world(known=2)
    await world.settled("c1")
    await world.settled("c2")
    await world.ack("c1")

    with pytest.raises(errors.Overloaded):
        await world.host.run(world.call("c3"))
    with pytest.raises(errors.Overloaded):
        await world.cancel("c3")

    assert (await world.host.run(world.call("c2"))).status is CallStatus.settled
    assert await world.status("c3") is CallStatus.never_seen


async def test_over_the_queue_new_calls_are_refused_and_may_come_again(open_world: _Opener) -> None:
    world = open_world(running=1, queued=0)
    caller = await world.running()
    with pytest.raises(errors.Overloaded):
        await world.host.run(world.call("c2"))
    world.stage.end("c1")
    await caller

    await world.settled("c2")

    assert world.stage.started == [("c1", 1), ("c2", 1)]


async def test_a_result_nobody_fetched_goes_to_the_store_and_is_answered_as_dropped(world: _World) -> None:
    await world.settled(content="precious")
    world.clock.now += 31
    await world.host.sweep()

    assert await world.status() is CallStatus.settled_dropped
    (row,) = world.sink.rows.items()
    assert row[0] == ("default", _JOURNAL, "c1", 1)
    saved = OUTCOME.validate_json(row[1])
    assert isinstance(saved, ToolOutcome)
    assert saved.content == "precious"
    assert (await world.host.stats()).retained_bytes == 0
    assert (await world.host.run(world.call())).status is CallStatus.settled_dropped
    assert world.stage.started == [("c1", 1)]


async def test_a_fresh_result_stays_in_memory(world: _World) -> None:
    await world.settled()
    world.clock.now += 29
    await world.host.sweep()

    assert await world.status() is CallStatus.settled
    assert world.sink.rows == {}


async def test_a_result_stays_in_memory_when_the_store_does_not_take_it(world: _World) -> None:
    await world.settled()
    world.sink.failing = True
    world.clock.now += 24 * 3600 * 10
    await world.host.sweep()

    assert await world.status() is CallStatus.settled


async def test_under_memory_pressure_the_oldest_results_go_to_the_store_by_themselves(open_world: _Opener) -> None:
    world = open_world(keep_bytes=3000)
    await world.settled("c1", "x" * 2000)
    await world.settled("c2", "y" * 2000)
    await world.counts(lambda stats: stats.retained_bytes < 3000)

    assert await world.status("c1") is CallStatus.settled_dropped
    assert await world.status("c2") is CallStatus.settled


async def test_when_the_store_takes_nothing_and_memory_is_full_new_calls_are_refused(open_world: _Opener) -> None:
    world = open_world(keep_bytes=1000, max_bytes=2000)
    world.sink.failing = True
    await world.settled("c1", "x" * 2000)

    with pytest.raises(errors.Overloaded):
        await world.host.run(world.call("c2"))

    assert await world.status("c1") is CallStatus.settled


async def test_an_id_without_a_result_in_memory_is_given_up_after_a_day(world: _World) -> None:
    await world.cancel("unseen")
    world.clock.now += 24 * 3600 + 1
    await world.host.sweep()

    assert (await world.host.stats()).known == 0


async def test_fences_make_room_only_for_journals_that_are_idle_for_ten_minutes(open_world: _Opener) -> None:
    world = open_world(journals=1)
    await world.host.attach("one", 5, world.incarnation, [])
    with pytest.raises(errors.Overloaded):
        await world.host.attach("two", 1, world.incarnation, [])
    world.clock.now += 601
    await world.host.attach("two", 1, world.incarnation, [])

    assert (await world.host.stats()).journals == 1


async def test_the_fence_of_a_journal_with_calls_is_kept(open_world: _Opener) -> None:
    world = open_world(journals=1)
    await world.settled("c1")
    world.clock.now += 601

    with pytest.raises(errors.Overloaded):
        await world.host.attach("two", 1, world.incarnation, [])


# --- readers --------------------------------------------------------------------------------------------------------


async def test_a_poll_gives_pieces_from_the_cursor_on(world: _World) -> None:
    await world.running()
    for text in ("a", "b", "c"):
        world.stage.emits["c1"]("output", text)

    (page,) = await world.host.poll_many([(CallKey(call_id="c1"), 1)])

    assert [(delta.index, delta.text) for delta in page.deltas] == [(1, "b"), (2, "c")]
    assert (page.cursor, page.status, page.ended) == (3, CallStatus.running, False)


async def test_a_poll_waits_for_the_first_piece_of_a_call_that_has_not_come_yet(world: _World) -> None:
    poll = asyncio.create_task(world.host.poll_many([(CallKey(call_id="c1"), 0), (CallKey(call_id="x"), 0)]))
    await world.counts(lambda stats: stats.waiters == 1)
    await world.running()
    world.stage.emits["c1"]("output", "first")

    page, other = await poll

    assert page.deltas[0].text == "first"
    assert other.status is CallStatus.never_seen


async def test_a_poll_without_news_ends_after_its_time(world: _World) -> None:
    await world.running()

    (page,) = await world.host.poll_many([(CallKey(call_id="c1"), 0)], wait_s=0.01)

    assert (page.deltas, page.cursor, page.status) == ((), 0, CallStatus.running)
    assert (await world.host.stats()).waiters == 0


async def test_a_reader_that_comes_late_is_told_how_many_pieces_it_missed(world: _World) -> None:
    await world.running()
    for _ in range(20_000):
        world.stage.emits["c1"]("output", "x")

    (page,) = await world.host.poll_many([(CallKey(call_id="c1"), 0)])

    assert page.missed == page.deltas[0].index == 20_000 - len(page.deltas)
    assert page.cursor == 20_000


async def test_a_piece_above_the_bound_keeps_its_end(world: _World) -> None:
    await world.running()
    world.stage.emits["c1"]("output", "x" * 1_000_000 + "end")

    (page,) = await world.host.poll_many([(CallKey(call_id="c1"), 0)])

    assert page.deltas[0].text.endswith("xend")
    assert len(page.deltas[0].text) == 512 * 1024


async def test_an_answer_is_bounded_and_the_rest_comes_with_the_next_poll(world: _World) -> None:
    for name in ("c1", "c2"):
        await world.running(name)
        world.stage.emits[name]("output", "x" * 400_000)
    cursors = [(CallKey(call_id="c1"), 0), (CallKey(call_id="c2"), 0), (CallKey(call_id="c1"), 1)]
    world.stage.emits["c1"]("output", "y" * 112_000)

    first, second, _ = await world.host.poll_many(cursors)
    (rest,) = await world.host.poll_many([(CallKey(call_id="c2"), second.cursor)])

    assert len(first.deltas) == 2
    assert sum(len(page.deltas) for page in (second, rest)) == 1


async def test_waiting_readers_are_bounded(open_world: _Opener) -> None:
    world = open_world(waiters=1)
    poll = asyncio.create_task(world.host.poll_many([(CallKey(call_id="c1"), 0)]))
    await world.counts(lambda stats: stats.waiters == 1)

    with pytest.raises(errors.Overloaded):
        await world.host.poll_many([(CallKey(call_id="c1"), 0)])

    poll.cancel()


async def test_watch_pushes_pieces_as_they_come_and_ends_when_the_call_settles(world: _World) -> None:
    await world.running()
    pages = world.host.watch(CallKey(call_id="c1"))
    world.stage.emits["c1"]("output", "one")
    first = await anext(pages)
    following = asyncio.ensure_future(anext(pages))
    await world.counts(lambda stats: stats.waiters == 1)
    world.stage.emits["c1"]("output", "two")
    second = await following
    world.stage.end("c1")

    last = [page async for page in pages]

    assert [delta.text for delta in (*first.deltas, *second.deltas)] == ["one", "two"]
    assert [page.status for page in last] == [CallStatus.settled]


# --- the end of a host ----------------------------------------------------------------------------------------------


async def test_close_cancels_calls_answers_waiters_and_hands_outcomes_to_the_store(world: _World) -> None:
    await world.settled("c1")
    caller = await world.running("c2")
    poll = asyncio.create_task(world.host.poll_many([(CallKey(call_id="c2"), 0)]))
    await world.counts(lambda stats: stats.waiters == 1)

    await world.host.close()

    await caller
    assert (await poll)[0].deltas == ()
    assert {row[2] for row in world.sink.rows} == {"c1", "c2"}
    with pytest.raises(errors.HostGone):
        await world.host.run(world.call("c3"))


@pytest.mark.parametrize("effect", [EffectClass.pure, EffectClass.idempotent])
async def test_a_host_that_closes_leaves_no_outcome_of_a_call_that_may_run_again(
    world: _World, effect: EffectClass
) -> None:
    call = world.call().model_copy(update={"effect": effect})
    caller = asyncio.create_task(world.host.run(call))
    await world.until(lambda: bool(world.stage.started))

    await world.host.close()

    with pytest.raises(errors.HostGone):
        await caller
    assert world.sink.rows == {}


async def test_what_a_tool_tells_of_a_lost_call_is_told_to_the_newest_activation_alone(world: _World) -> None:
    call = world.call(epoch=3)
    assert await world.host.reconcile(_JOURNAL, 3, world.incarnation, call, None) == UNCLEAR

    with pytest.raises(errors.Fenced):
        await world.host.reconcile(_JOURNAL, 2, world.incarnation, call, None)
    with pytest.raises(errors.HostGone):
        await world.host.reconcile(_JOURNAL, 3, "another", call, None)


async def test_no_more_lost_calls_are_looked_into_at_a_time_than_calls_may_run(
    open_world: _Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_world(running=2)
    looked_into, go_on = 0, asyncio.Event()

    async def look(call: ToolCall, recorded: bytes | None) -> Reconciled:
        nonlocal looked_into
        looked_into += 1
        world.stage.changed.set()
        await go_on.wait()
        return UNCLEAR

    monkeypatch.setattr(world.stage, "reconcile", look)
    wanted = (_JOURNAL, 1, world.incarnation)
    asked = [asyncio.create_task(world.host.reconcile(*wanted, world.call(f"c{n}"), None)) for n in range(4)]
    await world.until(lambda: looked_into == 2)
    await asyncio.sleep(0)
    assert looked_into == 2

    go_on.set()
    await asyncio.gather(*asked)
    assert looked_into == 4
