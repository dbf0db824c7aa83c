"""An effect host: carries each attempt of each call out at most once, and lets sessions find what came of it.

Every request that changes something carries the journal, its epoch and the host's incarnation. Another incarnation
is HostGone, a lower epoch Fenced; a higher epoch raises the fence, also for calls this host never saw.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence

from actors import faults
from actors.domain.calls import Attached, CallKey, CallStatus, HostRef, Outcome, Reconciled, ToolCall
from actors.effect_host.entry import Entry
from actors.effect_host.fences import Fences
from actors.effect_host.outcomes import undone
from actors.effect_host.ports import (
    MAX_KEYS,
    MAX_WAIT_S,
    Call,
    CallResult,
    Clock,
    DeltaPage,
    Executor,
    HostLimits,
    HostStats,
    ResultSink,
)
from actors.effect_host.readers import Cursor, Readers
from actors.effect_host.register import Register
from actors.effect_host.retention import Retention
from actors.effect_host.work import Work
from actors.errors import GreenroomError, HostGone, InvalidRequest, Overloaded
from actors.faults import Point


class EffectHost:
    """Runs calls for sessions. Lives on one event loop; a call's task outlives whoever asked for it."""

    def __init__(
        self,
        host_id: str,
        executor: Executor,
        results: ResultSink | None = None,
        limits: HostLimits | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.ref = HostRef(host_id=host_id, incarnation=secrets.token_hex(8))
        self._executor = executor
        self._limits = limits or HostLimits()
        self._register = Register(self._limits, clock)
        self._fences = Fences(self._limits.journals, clock, self._register.has_calls)
        self._retention = Retention(self._limits, clock, results, self._register.forget)
        self._readers = Readers(self._register, self._limits.waiters)
        self._reconciling = asyncio.Semaphore(self._limits.running)
        self._work = Work(host_id, executor, self._limits, self._fences, self, clock)
        self._closed = False

    # --- what sessions ask ------------------------------------------------------------------------------------------

    async def run(self, call: Call) -> Attached:
        """Start the call unless this attempt is known, and wait until it settles.

        Cancelling the caller changes nothing about the call.

        Returns:
            ``settled`` or ``cancelled`` with the outcome; ``cancelled`` without one when the attempt was cancelled
            before it was seen. ``settled_dropped`` when it is over and its outcome was acknowledged or is in the
            store.

        Raises:
            HostGone, Fenced: see the module; Fenced also when a newer epoch came while the call waited for a place.
            Overloaded: a bound was reached, the call has not begun and is not remembered.
        """
        self._admit(call.journal_id, call.epoch, call.host.incarnation)
        entry = self._register.find(call.key, call.journal_id)
        if entry is None:
            past = self._register.without_entry(call.key)
            if past.status is not CallStatus.never_seen:
                return past
            entry = self._start(call)
        entry.epoch = max(entry.epoch, call.epoch)
        answer = await entry.settled()
        await faults.reach(Point.host_reply)
        return answer

    async def attach(
        self, journal_id: str, epoch: int, incarnation: str, keys: Sequence[CallKey], settled: Sequence[CallKey] = ()
    ) -> list[Attached]:
        """What is known of ``keys``, in their order; ``settled`` are acknowledged.

        A call that still waits for its place is taken over by ``epoch`` when it is among ``keys``; others of the same
        journal will be refused when their place is free.
        """
        self._check_count(len(keys) + len(settled))
        self._admit(journal_id, epoch, incarnation)
        answers = [self._attach(key, journal_id, epoch) for key in keys]
        self._acknowledge(settled, journal_id, epoch)
        return answers

    async def cancel(self, key: CallKey, epoch: int, journal_id: str, incarnation: str) -> Attached:
        """End an attempt and return what came of it.

        Returns:
            As ``run``. After 10 s without an end: ``running`` with an outcome ``unknown``. For an attempt never seen:
            ``cancelled`` without an outcome; a ``run`` that comes late will not execute.
        """
        self._admit(journal_id, epoch, incarnation)
        entry = self._register.find(key, journal_id)
        if entry is None:
            past = self._register.without_entry(key)
            return self._never_begin(key, journal_id, epoch) if past.status is CallStatus.never_seen else past
        entry.epoch = max(entry.epoch, epoch)
        entry.stop()
        if not await entry.ended(self._limits.cancel_s) and entry.call is not None:
            entry.given_up = True
            return Attached(key=key, status=CallStatus.running, outcome=undone(entry.call))
        return await entry.settled()

    async def ack(self, journal_id: str, epoch: int, incarnation: str, keys: Sequence[CallKey]) -> None:
        """The outcomes are committed: free them. The ids are remembered for ten minutes more.

        A call that still runs is freed when it settles. An id never seen is remembered too.
        """
        self._check_count(len(keys))
        self._admit(journal_id, epoch, incarnation)
        self._acknowledge(keys, journal_id, epoch)

    async def reconcile(
        self, journal_id: str, epoch: int, incarnation: str, call: ToolCall, recorded: bytes | None
    ) -> Reconciled:
        """What the tool can tell of an attempt that another host began, and that died with it.

        Args:
            recorded: What the tool recorded then, as JSON; None when that was nothing.

        Raises:
            HostGone, Fenced: see the module.
        """
        self._admit(journal_id, epoch, incarnation)
        async with self._reconciling:
            return await self._executor.reconcile(call, recorded)

    # --- what readers ask -------------------------------------------------------------------------------------------

    async def poll_many(self, cursors: Sequence[Cursor], wait_s: float = MAX_WAIT_S) -> list[DeltaPage]:
        """Pieces from each cursor on, as soon as there are any or a call has ended, or after ``wait_s`` (at most 30).

        A call not seen yet is waited for: readers learn of calls from records that may be there before the call.
        """
        return await self._readers.poll(cursors, wait_s)

    def watch(self, key: CallKey, cursor: int = 0) -> AsyncGenerator[DeltaPage]:
        """Pages as pieces come; ends after the page that says the call has settled.

        Ends also, with a page ``never_seen``, when the call did not appear within 30 s.
        """
        return self._readers.watch(key, cursor)

    async def stats(self) -> HostStats:
        """Sizes and counts."""
        return HostStats(
            open=len(self._work),
            executing=self._work.executing,
            unacknowledged=len(self._register.entries),
            retained_bytes=self._retention.bytes,
            known=len(self._register),
            journals=len(self._fences),
            waiters=len(self._readers),
        )

    # --- upkeep -----------------------------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Move outcomes that nobody fetched to the store. Runs by itself every 5 s and when memory is short."""
        await self._retention.sweep()

    async def close(self) -> None:
        """Cancel every call, answer all who wait, hand outcomes to the store; each step at most 5 s.

        Calls that may run again leave none: whoever waits for one gets HostGone, and whoever comes later finds nothing.
        """
        self._closed = True
        self._readers.close()
        await self._work.close()
        await self._retention.close()

    # --- admission --------------------------------------------------------------------------------------------------

    def _admit(self, journal_id: str, epoch: int, incarnation: str) -> None:
        if incarnation != self.ref.incarnation:
            raise HostGone(self.ref.host_id, "another incarnation answers in its place")
        if self._closed:
            raise HostGone(self.ref.host_id, "it is closing")
        self._fences.admit(journal_id, epoch)

    def _check_count(self, count: int) -> None:
        if count > MAX_KEYS:
            raise InvalidRequest(f"One request names at most {MAX_KEYS} calls.")

    # --- the life of an entry ---------------------------------------------------------------------------------------

    def _start(self, call: Call) -> Entry:
        self._work.check_room()
        if self._retention.full:
            self._retention.pressure.set()
            raise Overloaded("outcomes that nobody fetched fill an effect host")
        entry = self._register.enter(call.key, call.journal_id, call.tenant, call.epoch)
        self._work.begin(entry, call)
        self._retention.start()
        self._readers.wake(entry.id)
        return entry

    def emitted(self, entry: Entry) -> None:
        """See ``Owner.emitted``."""
        self._readers.wake(entry.id)

    def settled(self, entry: Entry, outcome: CallResult) -> None:
        """See ``Owner.settled``."""
        cancelled = outcome.outcome is Outcome.cancelled
        entry.status = CallStatus.cancelled if cancelled else CallStatus.settled
        entry.outcome = outcome
        entry.unclaimed = entry.given_up and entry.waiting == 0
        entry.done.set_result(entry.attached())
        self._readers.wake(entry.id)
        if entry.acknowledged:
            self._register.release(entry)
        else:
            self._retention.add(entry)

    def withdrawn(self, entry: Entry, error: GreenroomError) -> None:
        """See ``Owner.withdrawn``."""
        self._register.forget(entry)
        entry.done.set_result(error)
        self._readers.wake(entry.id)

    def _never_begin(self, key: CallKey, journal_id: str, epoch: int) -> Attached:
        entry = self._register.enter(key, journal_id, "", epoch)
        entry.status = CallStatus.cancelled
        entry.done.set_result(entry.attached())
        self._retention.add(entry)
        self._readers.wake(entry.id)
        return entry.attached()

    def _attach(self, key: CallKey, journal_id: str, epoch: int) -> Attached:
        entry = self._register.find(key, journal_id)
        if entry is None:
            return self._register.without_entry(key)
        entry.epoch = max(entry.epoch, epoch)
        return entry.attached()

    def _acknowledge(self, keys: Sequence[CallKey], journal_id: str, epoch: int) -> None:
        for key in keys:
            entry = self._register.find(key, journal_id)
            if entry is None:
                self._register.remember(key)
            elif entry.status is CallStatus.running:
                entry.epoch = max(entry.epoch, epoch)
                entry.acknowledged = True
            else:
                self._retention.discard(entry)
                self._register.release(entry)
