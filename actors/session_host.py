"""Where sessions are resident: activates them on assignment, hands them commands, gives them up.

Plain asyncio, so it serves a Ray actor (``actors.session_actor``) and a single process (``actors.local``) alike. It
never activates a session by itself: only an assignment does.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic import ValidationError

from actors import faults
from actors.domain.command import Command
from actors.domain.commands import COMMAND
from actors.domain.session import Activity
from actors.domain.shell.line import judged
from actors.domain.shell.syntax import syntax as shell_syntax
from actors.errors import (
    GreenroomError,
    InternalError,
    InvalidRequest,
    NotHere,
    SecurityUnavailable,
    StoreUnavailable,
    TransportLost,
)
from actors.faults import Point
from actors.inspection.inspectors import Inspectors
from actors.session.inspecting import can_wait, to_inspect
from actors.session.loading import recover
from actors.session.own_tools import with_own
from actors.session.ports import Hosts, Store, ToolSpec
from actors.session.runner import SessionRunner
from actors.session.state import State
from actors.session.submitted import Submitted
from actors.session.surroundings import Surroundings
from actors.session.withholding import Inspected

log = logging.getLogger(__name__)

SETTLE_S = 10.0
"""Longest wait for activations that are under way: most take milliseconds, one of a long journal a second."""


@dataclass(frozen=True, slots=True)
class Resident:
    """One resident session, for whoever supervises."""

    tenant: str
    journal_id: str
    assignment_no: int
    activity: Activity
    idle_s: float


class SessionHost:
    """The sessions that live in one process.

    Args:
        inspectors: Ask the security providers that sessions name.
        on_end: Called with (journal_id, assignment_no, reason) when a session stops by itself.
    """

    def __init__(
        self,
        store: Store,
        hosts: Hosts,
        around: Surroundings,
        *,
        inspectors: Inspectors | None = None,
        on_end: Callable[[str, int, GreenroomError], None] | None = None,
    ) -> None:
        self._store = store
        self._hosts = hosts
        self._around = around
        self._tools: tuple[ToolSpec, ...] = ()
        self._inspectors = inspectors or Inspectors()
        self._on_end = on_end
        self._runners: dict[str, SessionRunner] = {}
        self._activating: dict[str, tuple[int, asyncio.Task[SessionRunner]]] = {}

    async def warm(self) -> None:
        """Have everything there that the first session needs: the tools, the way to the store, the reader of shells."""
        reader = asyncio.to_thread(shell_syntax, "true")  # It takes a tenth of a second to load.
        await asyncio.gather(self._know_tools(), self._know_store(), reader)

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> None:
        """Activate a session; the same assignment given twice is one.

        Raises:
            NotHere: a later assignment of the session is here.
            Fenced, SessionNotFound, StoreError: it cannot be activated.
        """
        runner = self._runners.get(journal_id)
        number, task = self._activating.get(journal_id, (0, None))
        if max(number, runner.assignment_no if runner else 0) > assignment_no:
            raise NotHere(journal_id, assignment_no)
        if runner is not None and runner.assignment_no == assignment_no:
            return
        if task is None or number < assignment_no:
            work = self._activate(tenant, journal_id, term, assignment_no)
            task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
            self._activating[journal_id] = (assignment_no, task)
            task.add_done_callback(lambda done: self._activated(journal_id, done))
        await asyncio.shield(task)
        await faults.reach(Point.assign_reply)

    def _activated(self, journal_id: str, done: asyncio.Task[SessionRunner]) -> None:
        if self._activating.get(journal_id, (0, None))[1] is done:
            del self._activating[journal_id]
        if not done.cancelled():
            done.exception()  # Marks it as seen: whoever assigned may be gone.

    async def _activate(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> SessionRunner:
        former = self._runners.get(journal_id)
        if former is not None:
            await former.stop()
        faults.hit(Point.assign_before)
        begun = await self._store.activate(tenant, journal_id, term, assignment_no)
        faults.hit(Point.assign_after)
        recovered = await recover(self._store, tenant, journal_id, begun.loaded)
        await asyncio.gather(self._know_tools(), self._know_store())
        if self._activating.get(journal_id, (0, None))[0] != assignment_no:
            # A later assignment came, or the session was destroyed, while this one was loading.
            raise NotHere(journal_id, assignment_no)
        runner = SessionRunner(
            self._store,
            self._hosts,
            recovered,
            epoch=begun.epoch,
            assignment_no=assignment_no,
            around=self._around_of(recovered.state),
        )
        self._runners[journal_id] = runner
        runner.stopped.add_done_callback(lambda done: self._ended(journal_id, runner, done))
        runner.start()
        return runner

    async def _know_tools(self) -> None:
        if not self._tools:
            self._tools = await self._hosts.tools()

    async def _know_store(self) -> None:
        """Learn the store's secret. Where the store of that is away, sessions of others go on, and remember nothing."""
        if not self._around.secret:
            with suppress(StoreUnavailable, TransportLost):
                self._around = replace(self._around, secret=(await self._store.identity()).secret)

    def _around_of(self, state: State) -> Surroundings:
        """The world around one session: with the tools that are its own, or its tenant's, among those of all."""
        return replace(self._around, tools=with_own(self._tools, state.tenant, state.journal_id))

    def _ended(self, journal_id: str, runner: SessionRunner, done: asyncio.Future[GreenroomError | None]) -> None:
        # What lines of a shell mean is remembered, and the lines are the session's.
        judged.cache_clear()
        if self._runners.get(journal_id) is runner:
            del self._runners[journal_id]
        if journal_id not in self._runners:
            self._hosts.forget(journal_id)
        reason = done.result()
        if reason is not None and self._on_end is not None:
            self._on_end(journal_id, runner.assignment_no, reason)

    async def submit(
        self, journal_id: str, assignment_no: int, command: Command, *, wait_s: float = 0.0, until_action: bool = False
    ) -> Submitted:
        """Give a resident session a command.

        Raises:
            NotHere: this assignment is not here.
            GreenroomError: refused.
        """
        runner = self._runner(journal_id, assignment_no)
        inspected = await self._inspected(runner, command)
        submitted = await runner.submit(command, inspected=inspected, wait_s=wait_s, until_action=until_action)
        await faults.reach(Point.session_reply)
        return submitted

    async def deliver(
        self, journal_id: str, assignment_no: int, letters: Sequence[bytes]
    ) -> list[GreenroomError | None]:
        """Give a resident session what others tell it, all at once: it takes them in one append.

        Returns:
            For each letter None when it is committed, now or before, else why it is not.

        Raises:
            NotHere: this assignment is not here.
        """
        runner = self._runner(journal_id, assignment_no)
        return await asyncio.gather(*(self._given(runner, letter) for letter in letters))

    async def _given(self, runner: SessionRunner, letter: bytes) -> GreenroomError | None:
        """What became of one letter; nearly all are new, and the store knows the others."""
        try:
            command = COMMAND.validate_json(letter).model_copy(update={"fresh": True})
            await runner.submit(command, inspected=await self._inspected(runner, command))
        except GreenroomError as exc:
            return exc
        except ValidationError:
            return InvalidRequest("The message is none that this release knows.")
        return None

    async def _inspected(self, runner: SessionRunner, command: Command) -> Inspected:
        wanted = to_inspect(runner.state, self._around, command)
        try:
            return await self._inspectors.inspect(*wanted) if wanted is not None else None
        except SecurityUnavailable as refusal:
            # A command that was given before has its first outcome: it is refused only where it would be carried out.
            return refusal if can_wait(command) else {}

    def _runner(self, journal_id: str, assignment_no: int) -> SessionRunner:
        runner = self._runners.get(journal_id)
        if runner is None or runner.assignment_no != assignment_no:
            raise NotHere(journal_id, assignment_no)
        return runner

    async def release(self, journal_id: str, assignment_no: int, *, idle_s: float = 0.0) -> bool:
        """Give a session up; False when it is busy, or was used within the last ``idle_s`` seconds."""
        runner = self._runners.get(journal_id)
        if runner is None or runner.assignment_no != assignment_no:
            return True
        now = asyncio.get_running_loop().time()
        if now - runner.idle_since < idle_s:
            return False
        faults.hit(Point.release_before)
        if not await runner.release():
            return False
        faults.hit(Point.release_after)
        if self._runners.get(journal_id) is runner:
            del self._runners[journal_id]
        await faults.reach(Point.release_reply)
        return True

    async def drop(self, journal_id: str, reason: GreenroomError) -> None:
        """Stop a session that exists no more; its running calls are ended first."""
        self._activating.pop(journal_id, None)
        runner = self._runners.pop(journal_id, None)
        if runner is not None:
            await runner.abort(reason)

    async def surround(self, around: Surroundings) -> None:
        """The world has changed, for all sessions here and those to come; the tools are asked for again."""
        self._around = replace(around, secret=self._around.secret)
        self._tools = await self._hosts.tools()
        for runner in self._runners.values():
            runner.surround(self._around_of(runner.state))

    def weights(self) -> dict[str, int]:
        """What each session here holds, by journal id: the tokens of its context, to compare them with each other."""
        return {runner.state.journal_id: runner.state.context_used for runner in self._runners.values()}

    def residents(self) -> tuple[Resident, ...]:
        """Who is here."""
        now = asyncio.get_running_loop().time()
        return tuple(
            Resident(
                tenant=runner.state.tenant,
                journal_id=journal_id,
                assignment_no=runner.assignment_no,
                activity=runner.state.activity,
                idle_s=now - runner.idle_since,
            )
            for journal_id, runner in self._runners.items()
        )

    async def settled(self) -> None:
        """Wait for the activations that are under way."""
        if self._activating:
            await asyncio.wait([task for _, task in self._activating.values()], timeout=SETTLE_S)

    async def close(self) -> None:
        """Stop every session at once; their journals are complete as they are."""
        for _, task in self._activating.values():
            task.cancel()
        for runner in list(self._runners.values()):
            await runner.stop()
        self._runners.clear()


def defect_of(reason: GreenroomError) -> str:
    """What of a session's end is a defect of its own code, as a half sentence; "" for every other end."""
    return f"it failed in its own code ({reason.args[0]})" if isinstance(reason, InternalError) else ""
