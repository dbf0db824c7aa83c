"""Any interleaving of two activations that run, attach, cancel and acknowledge keeps the promises of a host."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.domain.calls import (
    Attached,
    CallKey,
    CallStatus,
    Delta,
    Emit,
    HostRef,
    ModelCall,
    Outcome,
    ToolCall,
    ToolOutcome,
)
from actors.effect_host import EffectHost, HostLimits
from actors.errors import Fenced, HostGone
from tests.unit.unclear import Unclear

_JOURNALS = ("j1", "j2")
_OURS = st.builds(CallKey, call_id=st.sampled_from("abcd"), attempt=st.sampled_from((1, 1, 2)))
_KEYS = _OURS | st.builds(CallKey, call_id=st.just("z"))
_LAGS = st.sampled_from((0, 0, 0, 0, -1, 1))
"""How far a request's epoch is from the newest: mostly the present activation asks, at times an old or a new one."""


class _Ledger(Unclear):
    """An executor that writes down each start, and holds every call until it is told to end one."""

    def __init__(self) -> None:
        self.starts: Counter[tuple[str, int]] = Counter()
        self.fenced_starts: list[ToolCall] = []
        self.dead_starts: list[ToolCall] = []
        self.dead: set[tuple[str, int]] = set()
        self.fences: dict[str, int] = {}
        self.wanted: dict[tuple[str, int], int] = {}
        self.ends: dict[tuple[str, int], asyncio.Future[ToolOutcome]] = {}

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ToolOutcome:
        assert isinstance(call, ToolCall)
        mark = (call.call_id, call.attempt)
        self.starts[mark] += 1
        if self.wanted[mark] < self.fences[call.journal_id]:
            self.fenced_starts.append(call)
        if mark in self.dead:
            self.dead_starts.append(call)
        emit("output", "begun")
        self.ends[mark] = asyncio.get_running_loop().create_future()
        return await self.ends[mark]

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ToolOutcome:
        return ToolOutcome(outcome=Outcome.cancelled)


class HostMachine(RuleBasedStateMachine):
    """Two journals, nine attempts, one place: calls queue, and newer epochs come while they do."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._ledger = _Ledger()
        self._now = 0.0
        self._callers: list[asyncio.Task[Attached]] = []
        self._settled: dict[tuple[str, int], ToolOutcome] = {}
        self._acknowledged: set[tuple[str, int]] = set()
        self._host = self._do(self._make())

    async def _make(self) -> EffectHost:
        return EffectHost("h", self._ledger, None, HostLimits(running=1), lambda: self._now)

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(what)

    def _journal(self, key: CallKey) -> str:
        return _JOURNALS[0] if key.call_id != "z" else _JOURNALS[1]

    def _epoch(self, journal: str, lag: int) -> int:
        return max(1, self._ledger.fences.get(journal, 1) + lag)

    def _asks(self, journal: str, epoch: int, *keys: CallKey) -> bool:
        """Note the request in the model; returns whether the host has to refuse it."""
        if epoch < self._ledger.fences.get(journal, 0):
            return True
        self._ledger.fences[journal] = epoch
        for key in keys:
            mark = (key.call_id, key.attempt)
            self._ledger.wanted[mark] = max(epoch, self._ledger.wanted.get(mark, 0))
        return False

    @rule(key=_KEYS, lag=_LAGS, stale=st.integers(0, 9).map(lambda number: number == 0))
    def run_it(self, key: CallKey, lag: int, stale: bool) -> None:
        """A session, or a late frame of one, asks for a call; the caller may wait for ever."""
        journal = self._journal(key)
        epoch = self._epoch(journal, lag)
        host = HostRef(host_id="h", incarnation="dead") if stale else self._host.ref
        refused = stale or self._asks(journal, epoch, key)
        call = ToolCall(
            call_id=key.call_id,
            attempt=key.attempt,
            tenant="default",
            journal_id=journal,
            session_id="s",
            turn_id="t",
            epoch=epoch,
            host=host,
            tool_use_id="u",
            name="bash",
            args={},
        )
        caller = self._do(self._begin(call))
        self._callers.append(caller)
        if refused:
            assert caller.done()
            assert isinstance(caller.exception(), HostGone if stale else Fenced)

    async def _begin(self, call: ToolCall) -> asyncio.Task[Attached]:
        caller = asyncio.create_task(self._host.run(call))
        await self._quiet()
        return caller

    @rule(keys=st.lists(_OURS, max_size=3), lag=_LAGS)
    def attach(self, keys: list[CallKey], lag: int) -> None:
        """An activation asks what is known; what had an outcome keeps it until acknowledged."""
        epoch = self._epoch(_JOURNALS[0], lag)
        refused = self._asks(_JOURNALS[0], epoch, *keys)
        answers = self._do(self._asked(self._host.attach(_JOURNALS[0], epoch, self._host.ref.incarnation, keys)))
        assert isinstance(answers, Fenced) == refused
        for answer in () if refused else answers:
            mark = (answer.key.call_id, answer.key.attempt)
            if self._ledger.starts[mark]:
                assert answer.status is not CallStatus.never_seen
            if mark in self._settled:
                assert answer.outcome == self._settled[mark]

    @rule(key=_KEYS, lag=_LAGS)
    def cancel(self, key: CallKey, lag: int) -> None:
        """A session ends a call, seen or not."""
        journal = self._journal(key)
        epoch = self._epoch(journal, lag)
        refused = self._asks(journal, epoch, key)
        began = self._ledger.starts[key.call_id, key.attempt]
        answer = self._do(self._asked(self._host.cancel(key, epoch, journal, self._host.ref.incarnation)))
        assert isinstance(answer, Fenced) == refused
        if not refused:
            assert answer.status not in {CallStatus.running, CallStatus.never_seen}
            assert self._ledger.starts[key.call_id, key.attempt] == began
            self._ledger.dead.add((key.call_id, key.attempt))

    @rule(key=_KEYS, lag=_LAGS)
    def acknowledge(self, key: CallKey, lag: int) -> None:
        """A session has committed an outcome, or gave the call up."""
        journal = self._journal(key)
        epoch = self._epoch(journal, lag)
        queues = self._queued(key)
        refused = self._asks(journal, epoch, key)
        answer = self._do(self._asked(self._host.ack(journal, epoch, self._host.ref.incarnation, [key])))
        assert isinstance(answer, Fenced) == refused
        if not refused:
            self._acknowledged.add((key.call_id, key.attempt))
            if not queues:
                self._ledger.dead.add((key.call_id, key.attempt))
            self._settled.pop((key.call_id, key.attempt), None)

    @rule(journal=st.sampled_from(_JOURNALS))
    def newer_activation(self, journal: str) -> None:
        """Another activation comes and knows of no call."""
        epoch = self._epoch(journal, 1)
        self._asks(journal, epoch)
        self._do(self._asked(self._host.attach(journal, epoch, self._host.ref.incarnation, [])))

    @rule()
    def end(self) -> None:
        """The running call ends by itself, which makes a place for the next."""
        running = [(mark, end) for mark, end in self._ledger.ends.items() if not end.done()]
        for mark, end in running:
            outcome = ToolOutcome(outcome=Outcome.ok, content=f"{mark}")
            end.set_result(outcome)
            if mark not in self._acknowledged:
                self._settled[mark] = outcome
            self._do(self._quiet())

    @rule(place=st.integers(0, 9))
    def viewer_leaves(self, place: int) -> None:
        """Whoever waits for a call gives up waiting."""
        if self._callers:
            self._callers[place % len(self._callers)].cancel()
            self._do(self._quiet())

    @rule(seconds=st.sampled_from((1.0, 299.0)))
    def time_passes(self, seconds: float) -> None:
        """Less than ten minutes in one example: an id may not be forgotten."""
        if self._now + seconds < 600:
            self._now += seconds
            self._do(self._host.sweep())

    @invariant()
    def no_attempt_executes_twice(self) -> None:
        """The promise about unsafe calls."""
        assert all(count == 1 for count in self._ledger.starts.values())

    @invariant()
    def no_fenced_epoch_starts_anything(self) -> None:
        """What begins is wanted by the newest activation."""
        assert self._ledger.fenced_starts == []

    @invariant()
    def nothing_cancelled_or_acknowledged_starts(self) -> None:
        """Not even when it had not been seen before."""
        assert self._ledger.dead_starts == []

    def _queued(self, key: CallKey) -> bool:
        """Whether it is known and has not begun."""
        (page,) = self._do(self._host.poll_many([(key, 0)], 0))
        return page.status is CallStatus.running and not self._ledger.starts[key.call_id, key.attempt]

    async def _asked(self, request: Coroutine[Any, Any, Any]) -> Any:
        try:
            answer = await request
        except Fenced as refused:
            return refused
        await self._quiet()
        return answer

    async def _quiet(self) -> None:
        """Let everything that can happen happen."""
        for _ in range(20):
            await asyncio.sleep(0)

    def teardown(self) -> None:
        """End the host and its loop."""
        self._do(self._host.close())
        for caller in self._callers:
            if caller.done() and not caller.cancelled():
                caller.exception()
        self._runner.close()


HostMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestHost = HostMachine.TestCase
