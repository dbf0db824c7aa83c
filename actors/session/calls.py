"""The calls of one resident session: started, joined again after a crash, ended, acknowledged.

Between the driver, which says what has to be under way, and the hosts, which do it. A call is started by ``run``, which
joins an attempt that the host knows, so asking again is always safe; a host that is another incarnation answers
HostGone, and only then, and only when the old one is known to be dead, is the call taken for lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from actors import faults
from actors.domain import records as r
from actors.domain.calls import Attached, CallKey, CallStatus, ModelCall, Outcome, ToolCall
from actors.errors import Fenced, GreenroomError, HostGone
from actors.faults import Point
from actors.session.effects import Effects
from actors.session.plan import CallAnswered, Happening
from actors.session.ports import Hosts, Store, ToolSpec
from actors.session.remains import Remains
from actors.session.state import State

log = logging.getLogger(__name__)

Call = ModelCall | ToolCall

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 2.0
"""Bounds of the back-off while a host, or the store, cannot be reached."""


ACK_DELAY_S = 0.01
"""How long an acknowledgement waits for others: a host keeps an outcome for as long as it takes."""


class CallKeeper:
    """Keeps the calls under way that the core wants under way."""

    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        *,
        post: Callable[[Happening], None],
        stop: Callable[[GreenroomError], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        renew: Callable[[], Awaitable[Mapping[str, ToolSpec]]],
    ) -> None:
        self._hosts = hosts
        self._remains = Remains(store, hosts, renew)
        self._post = post
        self._stop = stop
        self._spawn = spawn
        self._calls: dict[CallKey, Call] = {}
        self._tasks: dict[CallKey, asyncio.Task[Any]] = {}
        self._ended: set[CallKey] = set()
        self._given_up: set[CallKey] = set()
        self._to_ack: dict[tuple[str, str], list[Call]] = {}
        self._recovering: frozenset[CallKey] = frozenset()
        self._settled: tuple[CallKey, ...] = ()

    @property
    def running(self) -> bool:
        """Whether any call is under way, or was closed as unknown and may still have an outcome to write down."""
        return bool(self._calls) or bool(self._given_up)

    def recover(self, state: State) -> None:
        """Remember which calls a former activation started: they are asked for before they are run."""
        turn = state.turn
        if turn is None:
            return
        keys = [turn.model_call.key] if turn.model_call else []
        hosted = [call for call in turn.calls if call.wait is None]
        keys += [call.key for call in hosted if call.key is not None and call.result is None]
        self._recovering = frozenset(keys)
        self._settled = tuple(call.key for call in hosted if call.key is not None and call.result is not None)

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
            if effects.ending and call.key not in self._ended:
                self._ended.add(call.key)
                self._spawn(self._end(call))

    def acknowledge(self, records: Iterable[r.Record]) -> None:
        """The outcomes in these records are durable: tell the hosts that they may forget them."""
        closing = (r.ModelCallCompleted, r.ModelCallFailed, r.ToolCallCompleted, r.ToolCallInDoubt)
        for record in records:
            if isinstance(record, closing):
                key = CallKey(call_id=record.data.call_id, attempt=record.data.attempt)
                call = self._calls.pop(key, None)
                self._ended.discard(key)
                task = None if key in self._given_up else self._tasks.pop(key, None)
                if task is not None:
                    # Done, unless another answered for it: a host that never does would keep it for ever.
                    task.cancel()
                if call is not None and not isinstance(record, r.ToolCallInDoubt):
                    self._ack(call)

    def stop(self) -> None:
        """Wait for nothing any more. The calls themselves go on, for whoever activates the session next."""
        for task in self._tasks.values():
            task.cancel()
        self._calls.clear()
        self._tasks.clear()
        self._given_up.clear()

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
                answer = answer or await self._outcome(call, await self._run(call))
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
                self._answered(call, answer)
                return
            asked_before = True
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    def _answered(self, call: Call, answer: Attached) -> None:
        self._post(CallAnswered(answer, late=self._was_given_up(call)))

    def _was_given_up(self, call: Call) -> bool:
        """Whether the call was closed as unknown before; nothing more is waited for."""
        if call.key not in self._given_up:
            return False
        self._given_up.remove(call.key)
        self._tasks.pop(call.key, None)
        return True

    async def _outcome(self, call: Call, answer: Attached) -> Attached:
        """A host's answer; when the host has no outcome any more, or never had one, what the store keeps of it."""
        return answer if answer.outcome is not None else await self._remains.outcome(call) or answer

    async def _recall(self, call: Call) -> Attached | None:
        """What is known of an attempt that was started before: from the store, then from its host."""
        stored = await self._remains.outcome(call)
        if stored is not None:
            return stored
        faults.hit(Point.attach_before)
        answers = await self._hosts.attach(call.host, call.journal_id, call.epoch, [call.key], self._settled)
        faults.hit(Point.attach_after)
        self._settled = ()
        answer = answers[0]
        if answer.status in {CallStatus.running, CallStatus.never_seen}:
            return None
        return await self._outcome(call, answer)

    async def _is_lost(self, call: Call, gone: HostGone) -> bool:
        """Settle the matter of a call whose host is another incarnation; False when it is too early to say."""
        found = await self._remains.after(call, gone)
        if isinstance(found, CallAnswered):
            self._answered(call, found.answer)
        elif found is not None:
            self._was_given_up(call)
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
                task = self._tasks.get(call.key)
                unknown = answer.outcome is not None and answer.outcome.outcome is Outcome.unknown
                if unknown and task is not None and not task.done():
                    self._given_up.add(call.key)
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
            await self._acknowledged([call])
        except GreenroomError as exc:
            log.info("call %s was not acknowledged: %s", call.call_id, exc)

    def _ack(self, call: Call) -> None:
        """Acknowledge soon, together with others of the same host: the turn's own traffic goes first."""
        host = (call.host.host_id, call.host.incarnation)
        waiting = self._to_ack.setdefault(host, [])
        waiting.append(call)
        if len(waiting) == 1:
            self._spawn(self._flush(host))

    async def _flush(self, host: tuple[str, str]) -> None:
        await asyncio.sleep(ACK_DELAY_S)
        calls = self._to_ack.pop(host)
        try:
            await self._acknowledged(calls)
        except GreenroomError as exc:
            # The host keeps the outcomes until somebody acknowledges them, or writes them to the store.
            log.info("%s calls were not acknowledged: %s", len(calls), exc)

    # --- what hosts are asked --------------------------------------------------------------------------------------

    async def _run(self, call: Call) -> Attached:
        faults.hit(Point.run_before)
        answer = await self._hosts.run(call)
        faults.hit(Point.run_after)
        return answer

    async def _cancel(self, call: Call) -> Attached:
        faults.hit(Point.cancel_before)
        answer = await self._hosts.cancel(call.host, call.journal_id, call.epoch, call.key)
        faults.hit(Point.cancel_after)
        return answer

    async def _acknowledged(self, calls: Sequence[Call]) -> None:
        """Tell one host that it may forget these outcomes."""
        first = calls[0]
        faults.hit(Point.ack_before)
        await self._hosts.ack(first.host, first.journal_id, first.epoch, [call.key for call in calls])
        faults.hit(Point.ack_after)
