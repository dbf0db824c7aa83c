"""The driver of one resident session: performs what the core says, against a store and effect hosts.

Above is whoever hosts sessions (``actors.session_host``); below are the ports. One task of its own runs the session;
methods only put something into its mailbox and wait, so a caller that goes away changes nothing.

A turn's records go out in as few appends as possible, at most one at a time. Nothing is acknowledged, and no tool
call begins, before its record is durable. Only a model call may start while its record is being committed.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any

from actors.domain import commands as c
from actors.domain.ids import new_ulid, utc_now
from actors.domain.journal import Appended, AppendPart, Snapshot
from actors.domain.session import Activity
from actors.errors import (
    CommandConflict,
    Fenced,
    GreenroomError,
    InternalError,
    NotHere,
    SessionExists,
    SessionNotFound,
    StoreUnavailable,
    TransportLost,
)
from actors.session.calls import CallKeeper
from actors.session.effects import Surroundings, model_of
from actors.session.plan import (
    CommandGiven,
    Happening,
    Plan,
    TimersDue,
    WorldChanged,
    plan,
)
from actors.session.ports import Hosts, Store, Submitted
from actors.session.projection import changed_actions, project, stored
from actors.session.state import SNAPSHOT_VERSION, State, to_snapshot

log = logging.getLogger(__name__)

SNAPSHOT_EVERY = 200
"""Records after which a resident session writes a snapshot: bounds what an activation has to fold."""

SNAPSHOT_AT_RELEASE = 100
"""Records since the last snapshot above which a session that is released writes one."""

ACKNOWLEDGE_WITHIN_S = 2.0
"""How long inputs wait for a store that does not answer before they get StoreUnavailable."""

RETRY_FIRST_S, RETRY_MAX_S = 0.05, 2.0
"""Bounds of the back-off between attempts of one append."""

REMEMBERED_COMMANDS = 1024
"""Commands whose outcome a resident session knows by heart; older ones are looked up in the store."""


class SessionRunner:
    """One session while it is resident."""

    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        state: State,
        *,
        epoch: int,
        assignment_no: int = 0,
        around: Surroundings | None = None,
        snapshot_seq: int = 0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.state = state.model_copy(update={"epoch": epoch})
        self.assignment_no = assignment_no
        self.idle_since = asyncio.get_running_loop().time()
        self.stopped: asyncio.Future[GreenroomError | None] = asyncio.get_running_loop().create_future()
        self._store = store
        self._hosts = hosts
        self._epoch = epoch
        self._around = around or Surroundings()
        self._snapshot_seq = snapshot_seq
        self._clock = clock
        self._inbox: list[Happening] = []
        self._bell = asyncio.Event()
        self._replies: dict[str, tuple[str, asyncio.Future[c.Reply]]] = {}
        self._ends: dict[str, asyncio.Future[Submitted | None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._finding_host = False
        self._store_down = False
        self._calls = CallKeeper(
            store, hosts, post=self.post, stop=self._finish, spawn=self._spawn, renew=self._renew
        )
        self._driver: asyncio.Task[None] | None = None

    # --- from outside --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: recover the calls that a former activation left open, then go on."""
        self._calls.recover(self.state)
        self.post(WorldChanged())
        self._driver = self._spawn(self._drive())

    def post(self, happening: Happening) -> None:
        """Tell the session's task that something happened."""
        self._inbox.append(happening)
        self._bell.set()

    async def submit(self, command: c.Command, *, wait_s: float = 0.0, until_action: bool = False) -> Submitted:
        """Give a command; for inputs wait up to ``wait_s`` seconds for the end of their turn.

        Raises:
            GreenroomError: it was refused.
            StoreUnavailable: it is not known to be durable; sending it again with its id is safe.
            NotHere: the session moved before the command was durable.
        """
        reply = await self._obey(command)
        if not isinstance(command, c.Send) or wait_s <= 0:
            return Submitted(reply)
        return await self._turn_of(command.command_id, reply, wait_s, until_action=until_action)

    async def release(self) -> bool:
        """Give up residency; False when there is work to do. Waiting callers get their receipts."""
        if self._inbox or self.busy:
            return False
        self._finish(None)
        await self._snapshot(SNAPSHOT_AT_RELEASE)
        return True

    @property
    def busy(self) -> bool:
        """Whether something runs or is about to."""
        state = self.state
        wants_actor = state.activity in {Activity.running, Activity.queued} and not state.lifecycle.ended
        return bool(self._replies_open or self._calls.running) or (wants_actor and state.lifecycle.value == "active")

    @property
    def _replies_open(self) -> bool:
        return any(not future.done() for _, future in self._replies.values())

    def surround(self, around: Surroundings) -> None:
        """The world has changed: other tools, another default model, another policy."""
        self._around = replace(around, model_host=None, model_error=None)
        self.post(WorldChanged())

    async def stop(self, reason: GreenroomError | None = None) -> None:
        """End at once, without waiting for anything."""
        self._finish(reason)
        for task in list(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def abort(self, reason: GreenroomError) -> None:
        """End at once, and the running calls with it: the session was destroyed."""
        await self._calls.end_all()
        await self.stop(reason)

    # --- commands ------------------------------------------------------------------------------------------------

    async def _obey(self, command: c.Command) -> c.Reply:
        if self.stopped.done():
            raise self.stopped.result() or self._not_here()
        known = self._replies.get(command.command_id)
        if known is not None:
            digest, future = known
            if digest != command.digest():
                raise CommandConflict(command.command_id)
            return await asyncio.shield(future)
        if self._store_down:
            raise StoreUnavailable("an earlier write is still being tried")
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        self._remember(command, future)
        self._spawn(self._mail(command, future))
        return await asyncio.shield(future)

    def _remember(self, command: c.Command, future: asyncio.Future[c.Reply]) -> None:
        self._replies[command.command_id] = (command.digest(), future)
        while len(self._replies) > REMEMBERED_COMMANDS:
            oldest = next(iter(self._replies))
            if not self._replies[oldest][1].done():
                break
            del self._replies[oldest]

    async def _mail(self, command: c.Command, future: asyncio.Future[c.Reply]) -> None:
        """Answer a command that was given before, or put it into the mailbox."""
        if not command.fresh:
            try:
                reply = await self._first_outcome(command)
            except GreenroomError as exc:
                self._reply(command, exc)
                return
            if reply is not None:
                self._reply(command, reply)
                return
        if not future.done():
            self.post(CommandGiven(command))

    async def _first_outcome(self, command: c.Command) -> c.Reply | None:
        found = await self._store.first_outcome(self.state.tenant, self.state.journal_id, command.command_id)
        if found is None:
            return None
        if found.digest != command.digest():
            raise CommandConflict(command.command_id)
        return c.Reply(seq=found.seq, input_id=command.command_id if isinstance(command, c.Send) else None)

    def _reply(self, command: c.Command, reply: c.Reply | GreenroomError) -> None:
        _, future = self._replies.get(command.command_id, ("", None))
        if future is None or future.done():
            return
        if isinstance(reply, GreenroomError):
            # A refusal is not an outcome: the same command may be given again when things are different.
            del self._replies[command.command_id]
            future.set_exception(reply)
        else:
            future.set_result(reply)

    async def _turn_of(self, input_id: str, reply: c.Reply, wait_s: float, *, until_action: bool) -> Submitted:
        future = self._ends.get(input_id)
        if future is None:
            return Submitted(reply)
        if until_action and self.state.activity is Activity.requires_action:
            return Submitted(reply, waits=True)
        try:
            async with asyncio.timeout(wait_s):
                end = await asyncio.shield(future)
        except TimeoutError:
            return Submitted(reply)
        return replace(end, reply=reply) if end is not None else Submitted(reply)

    # --- the driver ----------------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        try:
            while not self.stopped.done():
                happenings = await self._collect()
                await self._advance(happenings)
        except GreenroomError as exc:
            self._finish(exc)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            log.exception("session %s failed in its own code", self.state.session_id)
            self._finish(InternalError(type(exc).__name__))

    async def _collect(self) -> list[Happening]:
        """Everything that has happened, once something has, or a timer is over."""
        while not self._inbox:
            wake_at = self.state.wake_at
            delay = (wake_at - self._clock()).total_seconds() if wake_at else None
            if delay is not None and delay <= 0:
                return [TimersDue()]
            try:
                async with asyncio.timeout(delay):
                    await self._bell.wait()
            except TimeoutError:
                continue
        self._bell.clear()
        happenings, self._inbox = self._inbox, []
        return happenings

    async def _advance(self, happenings: list[Happening]) -> None:
        made = plan(self.state, happenings, self._around, now=self._clock(), epoch=self._epoch)
        if made.records:
            for command, reply in made.replies:
                if isinstance(reply, c.Reply) and isinstance(command, c.Send):
                    self._ends.setdefault(command.command_id, asyncio.get_running_loop().create_future())
            early = self._calls.start_early(made.effects)
            try:
                appended = await self._commit(made)
            except (CommandConflict, SessionExists) as refused:
                await self._calls.abandon(early)
                self._inbox[:0] = await self._without(happenings, refused)
                self._bell.set()
                return
            except GreenroomError:
                await self._calls.abandon(early)
                raise
            self._committed(made, appended)
        for command, reply in made.replies:
            self._reply(command, reply)
        self._calls.keep(made.effects)
        if made.effects.needs_model_host and not self._finding_host:
            self._finding_host = True
            self._spawn(self._find_model_host())

    def _committed(self, made: Plan, appended: Appended) -> None:
        self.state = made.state
        self.idle_since = asyncio.get_running_loop().time()
        self._calls.acknowledge(made.records)
        if made.state.config.model != made.before.config.model:
            self._around = replace(self._around, model_host=None, model_error=None)
        for inputs, end, state in made.ends:
            context = tuple(entry.message for entry in state.context)
            for input_id in inputs:
                self._end(input_id, Submitted(c.Reply(), end, context))
        if made.state.activity is Activity.requires_action:
            self._note_waiting()
        if appended.head_seq - self._snapshot_seq >= SNAPSHOT_EVERY:
            self._spawn(self._snapshot(SNAPSHOT_EVERY))

    def _end(self, input_id: str, submitted: Submitted | None) -> None:
        future = self._ends.pop(input_id, None)
        if future is not None and not future.done():
            future.set_result(submitted)

    def _note_waiting(self) -> None:
        """Whoever waits in this process for a turn that waits for a person goes to wait at the store."""
        turn = self.state.turn
        for input_id in turn.inputs if turn else ():
            self._end(input_id, Submitted(c.Reply(), waits=True))

    async def _without(self, happenings: list[Happening], refused: GreenroomError) -> list[Happening]:
        """What remains of the happenings when some of their commands turn out to be given before, or impossible."""
        left: list[Happening] = []
        for happening in happenings:
            if isinstance(happening, CommandGiven):
                command = happening.command
                if isinstance(refused, SessionExists):
                    if isinstance(command, c.CreateChild) and command.child_id in refused.session_ids:
                        self._reply(command, refused)
                        continue
                else:
                    try:
                        reply = await self._first_outcome(command)
                    except GreenroomError as exc:
                        self._reply(command, exc)
                        continue
                    if reply is not None:
                        self._reply(command, reply)
                        continue
            left.append(happening)
        return left

    async def _find_model_host(self) -> None:
        model = model_of(self.state, self._around)
        try:
            if model is None:
                error = ("NoModel", "No model is configured for this session.")
                self._around = replace(self._around, model_error=error)
            else:
                host = await self._hosts.model_host(model.provider)
                self._around = replace(self._around, model_host=host, model_error=None)
        except GreenroomError as exc:
            self._around = replace(self._around, model_error=(exc.code, exc.message))
        self._finding_host = False
        self.post(WorldChanged())

    async def _renew(self) -> None:
        """A host is gone: ask for the tools and the model's host again."""
        tools = await self._hosts.tools()
        self._around = replace(self._around, tools=tools, model_host=None, model_error=None)

    # --- the store -----------------------------------------------------------------------------------------------

    async def _commit(self, made: Plan) -> Appended:
        """Append until the store says yes or no. Inputs are told when it takes long; the append goes on."""
        part = AppendPart(
            tenant=made.state.tenant,
            journal_id=made.state.journal_id,
            epoch=self._epoch,
            expected_seq=made.before.seq,
            batch_id=new_ulid(),
            records=tuple(stored(record, made.digests.get(record.seq)) for record in made.records),
            row=project(made.state),
            actions=changed_actions(made.before, tuple(made.records), made.state),
            blobs=made.blobs,
            creations=tuple(made.creations),
        )
        delay = RETRY_FIRST_S
        began = asyncio.get_running_loop().time()
        while True:
            try:
                appended = await self._store.append(part)
            except (StoreUnavailable, TransportLost) as exc:
                if asyncio.get_running_loop().time() - began > ACKNOWLEDGE_WITHIN_S:
                    self._tell_unavailable(made, exc)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MAX_S)
            else:
                self._store_down = False
                return appended

    def _tell_unavailable(self, made: Plan, exc: GreenroomError) -> None:
        if not self._store_down:
            log.warning("session %s: the store does not take its records: %s", self.state.session_id, exc)
        self._store_down = True
        for command, _ in made.replies:
            self._reply(command, StoreUnavailable("it did not answer in time"))

    async def _snapshot(self, threshold: int) -> None:
        state = self.state
        if state.seq - self._snapshot_seq < threshold:
            return
        body = await asyncio.to_thread(to_snapshot, state)
        snapshot = Snapshot(seq=state.seq, version=SNAPSHOT_VERSION, epoch=self._epoch, body=body)
        try:
            await self._store.put_snapshot(state.tenant, state.journal_id, snapshot)
            self._snapshot_seq = state.seq
        except GreenroomError as exc:
            log.info("no snapshot of %s: %s", state.session_id, exc)

    # --- ending --------------------------------------------------------------------------------------------------

    def _not_here(self) -> NotHere:
        return NotHere(self.state.journal_id, self.assignment_no)

    def _finish(self, reason: GreenroomError | None) -> None:
        """Nothing happens here any more: callers are sent where the session is now."""
        if self.stopped.done():
            return
        lost = isinstance(reason, SessionNotFound)
        self.stopped.set_result(reason if lost else (self._not_here() if reason else None))
        if reason is not None and not isinstance(reason, Fenced | SessionNotFound):
            log.error("session %s stopped: %s", self.state.session_id, reason)
        for _, future in self._replies.values():
            if not future.done():
                future.set_exception(reason if lost and reason else self._not_here())
        for input_id in list(self._ends):
            self._end(input_id, None)
        self._calls.stop()
        self._bell.set()
        if self._driver is not None and self._driver is not asyncio.current_task():
            self._driver.cancel()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that no caller's cancellation reaches: Ray cancels through inherited context variables."""
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark a refusal as seen, so that one nobody waits for any more is not logged as forgotten."""
    if not future.cancelled():
        future.exception()
