"""The calls of one resident session: started, joined again after a crash, ended, acknowledged.

Between the driver, which says what has to be under way, and the hosts, which do it. A call is started by ``run``, which
joins an attempt that the host knows, so asking again is always safe; a host that is another incarnation answers
HostGone, and only then, and only when the old one is known to be dead, is the call taken for lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

from actors import faults
from actors.domain import records as r
from actors.domain.calls import Attached, CallKey, CallStatus, HostRef, ModelCall, Outcome, ToolCall
from actors.domain.journal import StoredResult
from actors.errors import Fenced, GreenroomError, HostGone
from actors.faults import Point
from actors.session import patience
from actors.session.acks import Acks
from actors.session.effects import Effects
from actors.session.late import LateOutcomes
from actors.session.patience import answer_of
from actors.session.plan import CallAnswered, Happening
from actors.session.ports import Hosts, Store
from actors.session.remains import Remains
from actors.session.state import State
from actors.session.tool_call import CallPhase

log = logging.getLogger(__name__)

Call = ModelCall | ToolCall

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 2.0
"""Bounds of the back-off while a host, or the store, cannot be reached."""

_CLOSING = (
    r.ModelCallCompleted,
    r.ModelCallFailed,
    r.ToolCallCompleted,
    r.ToolCallInDoubt,
    r.ToolCallInputRequired,
    r.ToolCallHeld,
    r.CommandRetried,
)


def _only_ends(call: Call) -> bool:
    """Whether a call is made to end what its host holds open: to cancel it could come before it."""
    return isinstance(call, ToolCall) and call.resume is not None and call.resume.abandon


class CallKeeper:
    """Keeps the calls under way that the core wants under way."""

    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        acks: Acks,
        *,
        post: Callable[[Happening], None],
        stop: Callable[[GreenroomError], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        renew: Callable[[Call], Awaitable[HostRef | None]],
    ) -> None:
        self._hosts = hosts
        self._acks = acks
        self._late = LateOutcomes(store, hosts, acks, post=post, spawn=spawn)
        self._remains = Remains(store, hosts, renew)
        self._post = post
        self._stop = stop
        self._spawn = spawn
        self._calls: dict[CallKey, Call] = {}
        self._tasks: dict[CallKey, asyncio.Task[Any]] = {}
        self._ended: set[CallKey] = set()
        self._recovering: frozenset[CallKey] = frozenset()
        self._settled: dict[HostRef, list[CallKey]] = {}

    @property
    def running(self) -> bool:
        """Whether any call is under way, or was closed as unknown and may still have an outcome to write down."""
        return bool(self._calls) or self._late.pending

    def recover(self, state: State, results: Sequence[StoredResult]) -> None:
        """Remember which calls a former activation started: they are asked for before they are run.

        Of outcomes that are durable it may have told nobody, so the hosts concerned learn of them now.
        """
        self._late.recover(state, results)
        turn = state.turn
        if turn is None:
            return
        opened = [(turn.model_call.host, turn.model_call.key)] if turn.model_call else []
        unanswered = [one.key for one in state.unanswered]
        for call in turn.calls:
            if call.wait is not None or call.key is None or call.host is None:
                continue
            if call.result is None and call.phase not in {CallPhase.input_required, CallPhase.held}:
                opened.append((call.host, call.key))
            elif call.key not in unanswered:
                self._settled.setdefault(call.host, []).append(call.key)
        self._recovering = frozenset(key for _, key in opened)
        for host in [host for host in self._settled if all(host != other for other, _ in opened)]:
            self._acks.soon(host, *self._settled.pop(host))

    def start_early(self, effects: Effects) -> tuple[Call, ...]:
        """Start model calls whose record is being committed; tool calls never start early."""
        early = tuple(call for call in effects.running if isinstance(call, ModelCall) and call.key not in self._calls)
        for call in () if effects.ending else early:
            self._start(call)
        return early

    async def abandon(self, calls: Iterable[Call]) -> None:
        """End calls whose record was not committed."""
        for call in calls:
            if self._calls.pop(call.key, None) is not None:
                self._tasks.pop(call.key).cancel()
                self._spawn(self._end_quietly(call))

    def keep(self, effects: Effects) -> None:
        """Start what has to be under way and is not; end it when the turn is being closed."""
        for call in effects.running:
            if call.key not in self._calls:
                self._start(call)
            if effects.ending and call.key not in self._ended and not _only_ends(call):
                self._ended.add(call.key)
                self._spawn(self._end(call))

    def close(self, state: State, records: Sequence[r.Record]) -> None:
        """What these records close is not under way any more; hosts may forget it, as far as its outcome is durable.

        Of a call that was closed without one, the outcome is waited for.
        """
        self._late.acknowledge(records)
        for record in records:
            if not isinstance(record, _CLOSING):
                continue
            key = CallKey(call_id=record.data.call_id, attempt=record.data.attempt)
            call = self._calls.pop(key, None)
            self._ended.discard(key)
            task = self._tasks.pop(key, None)
            if task is not None:
                # Done, unless another answered for it: a host that never does would keep it for ever.
                task.cancel()
            if call is not None and isinstance(record, r.ToolCallCompleted) and record.data.outcome is Outcome.unknown:
                self._late.wait(state, call.host, key)
            elif call is not None:
                self._acks.soon(call.host, key)

    def stop(self) -> None:
        """Wait for nothing any more. The calls themselves go on, for whoever activates the session next."""
        for task in self._tasks.values():
            task.cancel()
        self._calls.clear()
        self._tasks.clear()
        self._late.stop()

    async def end_all(self) -> None:
        """End every running call, whatever comes of it."""
        await asyncio.gather(*(self._end_for_good(call) for call in list(self._calls.values())))

    # --- one call --------------------------------------------------------------------------------------------------

    def _start(self, call: Call) -> None:
        self._calls[call.key] = call
        self._tasks[call.key] = self._spawn(self._perform(call))

    async def _perform(self, call: Call) -> None:
        """See one attempt through, whatever happens to the connection or the host."""
        asked_before = call.key in self._recovering
        delay = RETRY_FIRST_S
        while True:
            try:
                answer = await self._recall(call) if asked_before else None
                if answer is None:
                    call = await self._remains.whole(call)
                    answer = await self._outcome(call, await self._run(call))
            except Fenced as exc:
                self._stop(exc)
                return
            except HostGone as exc:
                if await self._is_lost(call, exc):
                    return
            except GreenroomError as exc:
                log.info("call %s is asked for again: %s", call.call_id, exc)
            except Exception:
                log.exception("call %s is asked for again", call.call_id)
            else:
                self._post(CallAnswered(answer))
                return
            asked_before = True
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    async def _outcome(self, call: Call, answer: Attached) -> Attached:
        """A host's answer; when the host has no outcome any more, or never had one, what the store keeps of it."""
        return answer if answer.outcome is not None else await self._remains.outcome(call) or answer

    async def _recall(self, call: Call) -> Attached | None:
        """What is known of an attempt that was started before: from the store, then from its host."""
        stored = await self._remains.outcome(call)
        if stored is not None:
            return stored
        faults.hit(Point.attach_before)
        settled = self._settled.get(call.host, [])
        asked = self._hosts.attach(call.host, call.journal_id, call.epoch, [call.key], settled)
        answers = await answer_of(asked, call.host.host_id)
        faults.hit(Point.attach_after)
        self._settled.pop(call.host, None)
        answer = answers[0]
        if answer.status in {CallStatus.running, CallStatus.never_seen}:
            return None
        return await self._outcome(call, answer)

    async def _is_lost(self, call: Call, gone: HostGone) -> bool:
        """Settle the matter of a call whose host is another incarnation; False when it is too early to say."""
        found = await self._remains.after(call, gone)
        if found is not None:
            self._post(found)
        return found is not None

    async def _end(self, call: Call) -> None:
        """Ask the host to end a call until it answers, or until the call has settled some other way."""
        delay = RETRY_FIRST_S
        while call.key in self._calls:
            try:
                answer = await self._cancel(call)
                answer = await self._outcome(call, answer)
            except Fenced as exc:
                self._stop(exc)
                return
            except HostGone:
                # The task that performs the call settles it.
                return
            except GreenroomError as exc:
                log.info("call %s could not be ended: %s", call.call_id, exc)
            else:
                self._post(CallAnswered(answer))
                return
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    async def _end_quietly(self, call: Call) -> None:
        try:
            await self._cancel(call)
        except GreenroomError as exc:
            log.info("call %s could not be ended: %s", call.call_id, exc)

    async def _end_for_good(self, call: Call) -> None:
        """End a call of a session that is no more: nobody will ask for its outcome."""
        await self._end_quietly(call)
        try:
            await self._acks.now(call.host, [call.key])
        except GreenroomError as exc:
            log.info("call %s was not acknowledged: %s", call.call_id, exc)

    # --- what hosts are asked --------------------------------------------------------------------------------------

    async def _run(self, call: Call) -> Attached:
        faults.hit(Point.run_before)
        answer = await answer_of(self._hosts.run(call), call.host.host_id, within_s=patience.RUN_S)
        faults.hit(Point.run_after)
        return answer

    async def _cancel(self, call: Call) -> Attached:
        faults.hit(Point.cancel_before)
        told = self._hosts.cancel(call.host, call.journal_id, call.epoch, call.key)
        answer = await answer_of(told, call.host.host_id)
        faults.hit(Point.cancel_after)
        return answer
