"""The driver of one resident session: performs what the core says, against a store and effect hosts.

Above is whoever hosts sessions (``actors.session_host``); below are the ports. One task of its own runs the session;
methods only put something into its mailbox and wait, so a caller that goes away changes nothing. At most one append is
under way at a time. Nothing is acknowledged, and no tool call begins, before its record is durable; only a model call
may start while its record is being committed.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from actors.domain import commands as c
from actors.domain.contexts import Context
from actors.domain.ids import utc_now
from actors.domain.records import InputWithdrawn
from actors.domain.session import Activity, SessionState
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
from actors.session.acks import Acks
from actors.session.calls import CallKeeper
from actors.session.committer import Committer
from actors.session.inbox import Inbox
from actors.session.loading import Recovered
from actors.session.mailbox import Mailbox
from actors.session.outlook import Outlook
from actors.session.plan import (
    CommandGiven,
    Happening,
    Plan,
    WorldChanged,
)
from actors.session.planning import planned
from actors.session.ports import Hosts, Store
from actors.session.submitted import Submitted
from actors.session.surroundings import Surroundings, model_of
from actors.session.waiters import TurnWaiters
from actors.session.withholding import Inspected

log = logging.getLogger(__name__)


class SessionRunner:
    """One session while it is resident."""

    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        recovered: Recovered,
        *,
        epoch: int,
        assignment_no: int = 0,
        around: Surroundings | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        state = recovered.state
        self.state = state.model_copy(update={"epoch": epoch})
        self.assignment_no = assignment_no
        self.idle_since = asyncio.get_running_loop().time()
        self.stopped: asyncio.Future[GreenroomError | None] = asyncio.get_running_loop().create_future()
        self._epoch = epoch
        self._clock = clock
        self._inbox = Inbox(clock)
        self._turns = TurnWaiters()
        self._context = Context()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._advancing = False
        self._outlook = Outlook(
            hosts,
            around or Surroundings(),
            state=lambda: self.state,
            found=lambda: self.post(WorldChanged()),
            spawn=self._spawn,
        )
        self._committer = Committer(store, epoch, recovered, slow=self._tell_unavailable)
        self._mailbox = Mailbox(
            store,
            state.tenant,
            state.journal_id,
            down=lambda: self._committer.down,
            post=lambda *given: self.post(CommandGiven(*given)),
            spawn=self._spawn,
        )
        self._left = recovered.results
        acks = Acks(hosts, state.journal_id, epoch, self._spawn)
        self._calls = CallKeeper(
            store, hosts, acks, post=self.post, stop=self._finish, spawn=self._spawn, renew=self._outlook.renew
        )
        self._driver: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin: recover the calls that a former activation left open, then go on."""
        left, self._left = self._left, ()
        self._calls.recover(self.state, left)
        self.post(WorldChanged())
        if model_of(self.state, self._outlook.around) is not None:
            # Most activations are for a turn: its first append needs the host's name.
            self._outlook.look_for_model_host()
        self._driver = self._spawn(self._drive())

    def post(self, happening: Happening) -> None:
        """Tell the session's task that something happened."""
        self._inbox.put(happening)

    async def submit(
        self, command: c.Command, *, inspected: Inspected = None, wait_s: float = 0.0, until_action: bool = False
    ) -> Submitted:
        """Give a command; for inputs wait up to ``wait_s`` seconds for the end of their turn.

        Raises:
            GreenroomError: it was refused.
            StoreUnavailable: it is not known to be durable; sending it again with its id is safe.
            NotHere: the session moved before the command was durable.
        """
        reply = await self._mailbox.give(command, inspected)
        if not isinstance(command, c.Send) or wait_s <= 0:
            return Submitted(reply)
        if until_action and self.state.activity is Activity.requires_action:
            return Submitted(reply, waits=True)
        return await self._turns.wait(command.command_id, reply, wait_s)

    async def release(self) -> bool:
        """Give up residency; False when there is work to do. Waiting callers get their receipts."""
        if self._inbox or self.busy:
            return False
        self._finish(None)
        await self._committer.snapshot(self.state)
        return True

    @property
    def busy(self) -> bool:
        """Whether something runs or is about to."""
        state = self.state
        if self._advancing or self._mailbox.open or self._calls.running:
            return True
        return state.lifecycle is SessionState.active and state.activity in {Activity.running, Activity.queued}

    def surround(self, around: Surroundings) -> None:
        """The world has changed: other tools, another default model, another policy."""
        self._outlook.surround(around)
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
        try:
            await self._calls.end_all()
        finally:
            await self.stop(reason)

    # --- commands ------------------------------------------------------------------------------------------------

    async def _drive(self) -> None:
        try:
            while not self.stopped.done():
                happenings = await self._inbox.collect(self.state.wake_at)
                self._advancing = True
                await self._advance(happenings)
                self._advancing = False
        except GreenroomError as exc:
            self._finish(exc)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            log.exception("session %s failed in its own code", self.state.session_id)
            self._finish(InternalError(type(exc).__name__))

    async def _advance(self, happenings: list[Happening]) -> None:
        around, part_of = self._outlook.around, self._committer.part_of
        made, part = planned(self.state, happenings, around, part_of, now=self._clock(), epoch=self._epoch)
        if part is not None:
            for command, reply in made.replies:
                if isinstance(reply, c.Reply) and isinstance(command, c.Send):
                    self._turns.expect(command.command_id)
            # A host reads large content from the store, so a call that needs it waits for its commit.
            early = () if made.blobs else self._calls.start_early(made.effects)
            try:
                await self._committer.commit(made, part)
            except (CommandConflict, SessionExists) as refused:
                await self._calls.abandon(early)
                self._inbox.put_back(await self._without(happenings, refused))
                return
            except GreenroomError:
                await self._calls.abandon(early)
                raise
            self._committed(made)
        if made.left:
            self._inbox.put_back(made.left)
        for command, reply in await self._confirmed(made):
            self._mailbox.reply(command, reply)
        self._calls.keep(made.effects)
        if made.effects.needs_model_host:
            self._outlook.look_for_model_host()
        if made.effects.needs_site:
            self._outlook.look_for_site()

    async def _confirmed(self, made: Plan) -> list[tuple[c.Command, c.Reply | GreenroomError]]:
        """The replies. One that writes nothing, a refusal say, comes from a state that may be another's by now."""
        if made.replies and not made.records:
            try:
                await self._committer.confirm(self.state)
            except (StoreUnavailable, TransportLost):
                return [(command, StoreUnavailable("it does not answer")) for command, _ in made.replies]
        return made.replies

    def _committed(self, made: Plan) -> None:
        self.state = made.state
        self.idle_since = asyncio.get_running_loop().time()
        self._calls.close(made.state, made.records)
        if made.state.config.model != made.before.config.model:
            self._outlook.forget_model()
        self._turns.end((one.data.input_id for one in made.records if isinstance(one, InputWithdrawn)), None)
        for inputs, end, state in made.ends:
            self._outlook.forgive_model()
            self._context = self._context.grown(tuple(entry.message for entry in state.context))
            self._turns.end(inputs, Submitted(c.Reply(), end, self._context))
        if made.state.activity is Activity.requires_action and made.state.turn is not None:
            # Whoever waits here for a turn that waits for a person goes to wait at the store.
            self._turns.end(made.state.turn.inputs, Submitted(c.Reply(), waits=True))
        if self._committer.wants_snapshot(self.state.seq):
            self._spawn(self._committer.snapshot(self.state))

    async def _without(self, happenings: list[Happening], refused: GreenroomError) -> list[Happening]:
        """What remains of the happenings when some of their commands turn out to be given before, or impossible."""
        left: list[Happening] = []
        if isinstance(refused, SessionExists):
            # A call whose children cannot be born is refused as well, when it is asked for again.
            self._outlook.take(frozenset(refused.session_ids))
        for happening in happenings:
            if isinstance(happening, CommandGiven):
                if isinstance(refused, SessionExists):
                    answered = self._refuse_spawn(happening.command, refused)
                else:
                    answered = await self._mailbox.answer_old(happening.command)
                if answered:
                    continue
            left.append(happening)
        return left

    def _refuse_spawn(self, command: c.Command, refused: SessionExists) -> bool:
        if not isinstance(command, c.SpawnChildren):
            return False
        taken = [child.child_id for child in command.children if child.child_id in refused.session_ids]
        if taken:
            self._mailbox.reply(command, SessionExists(taken))
        return bool(taken)

    def _tell_unavailable(self, made: Plan) -> None:
        """The append goes on, but nobody waits for it any more, and what came after it is not begun."""
        for command in (*(command for command, _ in made.replies), *self._inbox.take_commands()):
            self._mailbox.reply(command, StoreUnavailable("it did not answer in time"))

    def _finish(self, reason: GreenroomError | None) -> None:
        """Nothing happens here any more: callers are sent where the session is now."""
        if self.stopped.done():
            return
        moved = NotHere(self.state.journal_id, self.assignment_no)
        # Whoever is sent on gives the command again: after a defect that could go on without an end.
        told = reason if isinstance(reason, SessionNotFound | InternalError) else moved
        self.stopped.set_result(told if reason else None)
        if reason is not None and not isinstance(reason, Fenced | SessionNotFound):
            log.error("session %s stopped: %s", self.state.session_id, reason)
        self._mailbox.close(told)
        self._turns.close()
        self._calls.stop()
        self._inbox.ring()
        if self._driver is not None and self._driver is not asyncio.current_task():
            self._driver.cancel()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task that no caller's cancellation reaches: Ray cancels through inherited context variables."""
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
