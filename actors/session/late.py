"""Outcomes of calls that were closed as unknown, and end later: waited for, found, written down.

Between the journal, which says of which calls nobody knows what became, and hosts and store, one of which will know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from actors.domain import records as r
from actors.domain.calls import OUTCOME, Attached, CallKey, CallStatus, HostRef, Outcome
from actors.domain.journal import StoredResult
from actors.errors import Fenced, GreenroomError, HostGone
from actors.session.acks import Acks
from actors.session.patience import answer_of
from actors.session.plan import CallAnswered, Happening
from actors.session.ports import Hosts, Store
from actors.session.state import State

log = logging.getLogger(__name__)

STAY_S = 600.0
"""How long a session stays for the end of a call that was told to end. A tool that ignores this for longer must not
keep a place for ever: its outcome then goes to the store, and is found by the session's next activation."""

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 2.0
"""Bounds of the back-off while a host cannot be reached."""


class LateOutcomes:
    """What one activation still waits for, though its turns do not."""

    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        acks: Acks,
        *,
        post: Callable[[Happening], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:
        self._store = store
        self._hosts = hosts
        self._acks = acks
        self._post = post
        self._spawn = spawn
        self._found: dict[CallKey, HostRef] = {}
        self._waiting: dict[asyncio.Task[Any], float] = {}

    @property
    def pending(self) -> bool:
        """Whether the session should stay."""
        now = asyncio.get_running_loop().time()
        return any(until > now for until in self._waiting.values())

    def recover(self, state: State, results: Iterable[StoredResult]) -> None:
        """Go on with what a former activation left: some outcomes are in the store, others with their hosts."""
        stored = {CallKey(call_id=one.call_id, attempt=one.attempt): one.outcome for one in results}
        for one in state.unanswered:
            body = stored.get(one.key)
            if body is not None:
                self._tell(Attached(key=one.key, status=CallStatus.settled, outcome=OUTCOME.validate_json(body)))
            elif one.host is not None:
                self.wait(state, one.host, one.key)
            elif one.key in stored:
                # An outcome may have been too large to come along.
                self._spawn(self._look_again(state, one.key))

    def wait(self, state: State, host: HostRef, key: CallKey) -> None:
        """Wait for the end of a call that its host was told to end."""
        task = self._spawn(self._wait(state, host, key))
        self._waiting[task] = asyncio.get_running_loop().time() + STAY_S
        task.add_done_callback(self._waiting.pop)

    def acknowledge(self, records: Iterable[r.Record]) -> None:
        """Late outcomes in these records are durable."""
        for record in records:
            if isinstance(record, r.ToolCallLate):
                key = CallKey(call_id=record.data.call_id, attempt=record.data.attempt)
                host = self._found.pop(key, None)
                if host is not None:
                    self._acks.soon(host, key)

    def stop(self) -> None:
        """Wait for nothing any more."""
        for task in self._waiting:
            task.cancel()

    async def _wait(self, state: State, host: HostRef, key: CallKey) -> None:
        delay, gone = RETRY_FIRST_S, False
        while True:
            try:
                if gone:
                    # Of what its host ran nothing is left, but what it may have written down.
                    await self._look(state, key)
                    return
                # Told once more to end, the host waits with its answer for some seconds, and begins nothing.
                told = self._hosts.cancel(host, state.journal_id, state.epoch, key)
                answer = await answer_of(told, host.host_id)
                if answer.status is not CallStatus.running:
                    await self._ended(state, host, answer)
                    return
            except Fenced:
                # The activation that has taken over waits in its turn.
                return
            except HostGone:
                gone = True
                continue
            except GreenroomError as exc:
                log.info("call %s is asked for again: %s", key.call_id, exc)
            await asyncio.sleep(delay)
            delay = min(delay * 2, RETRY_MAX_S)

    async def _ended(self, state: State, host: HostRef, answer: Attached) -> None:
        told = self._tell(answer) if answer.outcome is not None else await self._look(state, answer.key)
        if told:
            self._found[answer.key] = host
        else:
            self._acks.soon(host, answer.key)

    async def _look(self, state: State, key: CallKey) -> bool:
        for one in await self._store.results(state.tenant, state.journal_id, key.call_id):
            if (one.call_id, one.attempt) == (key.call_id, key.attempt) and one.outcome is not None:
                outcome = OUTCOME.validate_json(one.outcome)
                return self._tell(Attached(key=key, status=CallStatus.settled, outcome=outcome))
        return False

    async def _look_again(self, state: State, key: CallKey) -> None:
        try:
            await self._look(state, key)
        except GreenroomError as exc:
            log.info("what became of call %s is not known yet: %s", key.call_id, exc)

    def _tell(self, answer: Attached) -> bool:
        """Have it written down, if it says anything."""
        if answer.outcome is None or answer.outcome.outcome is Outcome.unknown:
            return False
        self._post(CallAnswered(answer))
        return True
