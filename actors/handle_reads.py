"""What can be read of a session without activating it: rows, records, events, the folded state."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from actors.checks import checked_at, checked_limit, checked_seq, checked_timeout
from actors.domain.base import Frozen
from actors.domain.events import Event
from actors.domain.messages import Message, decode_messages
from actors.domain.policies import ConfirmationPolicy, OnBusy
from actors.domain.records import TURN_ENDS, Record, TurnStarted, TurnSteered, decode_record
from actors.domain.session import ContextUsage, SessionConfig, SessionInfo, SnapshotInfo
from actors.domain.turns import AgentResult, Receipt
from actors.errors import InvalidRequest, SessionNotFound
from actors.output_types import checked_output
from actors.reading.effects import Effect, effects_of, with_late
from actors.reading.events import EventReader, read_records
from actors.reading.tree_events import After, TreeReader, checked_after
from actors.reading.turns import TurnInfo, turns_of, wait_turn, whole
from actors.session.runtime import Runtime
from actors.session.state import State, from_snapshot


class PendingInput(Frozen):
    """An input that no turn has taken yet."""

    input_id: str
    seq: int
    message: Message
    on_busy: OnBusy


class SessionReads:
    """The reading half of ``SessionHandle``. Every method raises SessionNotFound when the session is gone."""

    def __init__(self, runtime: Runtime, info: SessionInfo) -> None:
        self._runtime = runtime
        self._tenant = info.tenant
        self.session_id = info.session_id
        self.journal_id = info.journal_id
        self.parent_id = info.parent_id

    async def wait_turn(
        self,
        receipt: Receipt,
        *,
        timeout: float | None = None,
        until_action: bool = False,
        output_type: Any = None,
    ) -> AgentResult:
        """Wait for the turn that takes an input; see ``SessionHandle.generate`` for the errors.

        Args:
            until_action: Raise TurnPending as soon as the turn waits for a decision.
            output_type: What the input was sent with: the result's ``output`` is the value then.
        """
        timeout, wanted = checked_timeout(timeout), checked_output(output_type)
        if receipt.journal_id != self.journal_id:
            raise SessionNotFound(receipt.session_id)
        store = self._runtime.store
        result = await wait_turn(store, self._tenant, receipt, timeout=timeout, until_action=until_action)
        return wanted.read(self.session_id, result) if wanted is not None else result

    async def info(self) -> SessionInfo:
        """How the session stands."""
        row = await self._runtime.store.row(self._tenant, self.journal_id)
        if row is None:
            raise SessionNotFound(self.session_id)
        return row

    async def events(
        self, *, after: After = 0, follow: bool = False, deltas: bool = True, tree: bool = False
    ) -> AsyncGenerator[Event]:
        """Records after a seq; with ``follow`` also those to come, and the deltas of running calls between them.

        Args:
            after: The seq to read after. With ``tree`` also that of each session by its id; one that is not named is
                read from its beginning.
            follow: Go on with what happens, without an end.
            deltas: Also what is not journaled: the pieces of running calls.
            tree: Follow all below it as well, 64 sessions at most: ``tree.joined`` says when one joins, and after which
                seq. With a plain ``after``, children that were started later are read from their beginning, others from
                now on.

        Raises:
            InvalidRequest: ``tree`` without ``follow``, too many sessions, or no seq.
        """
        if tree:
            async with aclosing(self._tree_events(checked_after(after), follow=follow, deltas=deltas)) as events:
                async for event in events:
                    yield event
            return
        if not isinstance(after, int):
            raise InvalidRequest("after is the seq of a record; places of several sessions go with tree.")
        checked_seq(after)
        head = (await self.info()).head_seq
        if not follow:
            async for record in read_records(self._runtime, self._tenant, self.journal_id, after=after, upto=head):
                yield record
            return
        async with aclosing(self._followed(after, head=head, deltas=deltas)) as stream:
            async for event in stream:
                yield event

    def _followed(self, after: int, *, head: int, deltas: bool) -> AsyncGenerator[Event]:
        ids = (self._tenant, self.session_id, self.journal_id)
        reader = EventReader(self._runtime, *ids, deltas=deltas, head=head)
        return reader.events(after)

    async def _tree_events(self, after: After, *, follow: bool, deltas: bool) -> AsyncGenerator[Event]:
        if not follow:
            raise InvalidRequest("The events of a tree can be followed; page through the records of each session.")
        reader = TreeReader(self._runtime, deltas=deltas)
        async with aclosing(reader.events(await self.info(), after)) as events:
            async for event in events:
                yield event

    def turn_events(self, receipt: Receipt) -> AsyncGenerator[Event]:
        """Everything from an input on, without an end, as if each call had been watched from its beginning."""
        return self._followed(receipt.seq - 1, head=receipt.seq, deltas=True)

    async def records(self, *, after: int = 0, limit: int = 100) -> tuple[Record, ...]:
        """A page of records."""
        checked_seq(after)
        page = await self._runtime.store.records(self._tenant, self.journal_id, after=after, limit=checked_limit(limit))
        return tuple(decode_record(stored.body) for stored in page)

    async def effects(self, *, after: int = 0, limit: int = 100) -> tuple[Effect, ...]:
        """What tool calls did, or may have done: a page of attempts, oldest first.

        What became of a call that was closed as unknown is shown as soon as it is known, also while the session is
        dormant and has no record of it yet.

        Args:
            after: The ``seq`` of the attempt to read after, which is that of its ``tool.call.started``.
            limit: 1 to 1,000.
        """
        checked_seq(after)
        checked_limit(limit)
        results = await self._runtime.store.results(self._tenant, self.journal_id)
        head = (await self.info()).head_seq
        records = read_records(self._runtime, self._tenant, self.journal_id, after=after, upto=head)
        return with_late(await effects_of(records, limit=limit), results)

    async def turns(self) -> list[TurnInfo]:
        """All turns, oldest first."""
        info = await self.info()
        records = read_records(self._runtime, self._tenant, self.journal_id, after=0, upto=info.head_seq)
        wanted = (TurnStarted, TurnSteered, *TURN_ENDS)
        telling = [one async for one in records if isinstance(one, wanted)]
        return await turns_of(self._runtime.store, self._tenant, telling, info.activity)

    async def turn(self, turn_id: str) -> TurnInfo | None:
        """One turn."""
        return next((one for one in await self.turns() if one.turn_id == turn_id), None)

    async def history(self, *, at: int | None = None) -> tuple[Message, ...]:
        """The conversation as the model sees it, or as it saw it after the record with seq ``at``.

        Raises:
            InvalidRequest: the journal has no record ``at``.
        """
        state = await self._state(at)
        return await self._whole(decode_messages([entry.message for entry in state.context]))

    async def context_table(self, *, at: int | None = None) -> Any:
        """The conversation as a ``pyarrow.Table`` with a row for each message.

        Its columns are ``seq: int64``, the record that brought the message, and ``message: large_string``, its JSON
        form, in which content over 32 KB is named by its digest (``history`` has it whole). In a runtime on Ray the
        table lies in the node's object store and is read in place, however many processes of the node read it.

        Args:
            at: As it was after the record with this seq.

        Raises:
            InvalidRequest: the journal has no record ``at``.
        """
        return await self._runtime.context_table(self._tenant, self.journal_id, await self._place(at))

    async def context_ref(self, *, at: int | None = None) -> Any:
        """The table of ``context_table`` as an ``ObjectRef`` of Ray, for tasks and data sets.

        It is put into the object store once, and owned by the store's actor: when that dies, reading the reference
        raises ``ray.exceptions.OwnerDiedError``, and this method gives a new one.

        Raises:
            InvalidRequest: the journal has no record ``at``, or the runtime has no Ray.
            Overloaded: the object store has no room for it.
        """
        return await self._runtime.context_ref(self._tenant, self.journal_id, await self._place(at))

    async def _place(self, at: int | None) -> int:
        head = (await self.info()).head_seq
        checked_at(at, head)
        return head if at is None else at

    async def context_usage(self, *, at: int | None = None) -> ContextUsage:
        """How full the context is, or was after the record with seq ``at``; errors as ``history``."""
        return (await self._state(at)).context_usage

    async def config(self, *, at: int | None = None) -> SessionConfig:
        """The configuration in force, or that was in force after the record with seq ``at``; errors as ``history``."""
        return (await self._state(at)).config

    async def snapshot(self) -> SnapshotInfo:
        """Keep the session's state as of now, so that its next activation, and forks of it, need fold nothing.

        Sessions write snapshots by themselves, when so many records follow the last that it pays. Nothing is woken.
        """
        return await self._runtime.store.take_snapshot(self._tenant, self.journal_id)

    async def confirmation_policy(self) -> ConfirmationPolicy:
        """The confirmation policy in force."""
        return (await self._state()).config.confirmation

    async def _state(self, at: int | None = None) -> State:
        if at is not None:
            checked_at(at, (await self.info()).head_seq)
        snapshot = await self._runtime.store.state(self._tenant, self.journal_id, upto=at)
        return from_snapshot(snapshot.body)

    async def _whole(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        return await whole(self._runtime.store, self._tenant, messages)

    async def pending_inputs(self) -> tuple[PendingInput, ...]:
        """Inputs that no turn has taken yet, in the order in which turns will."""
        state = await self._state()
        messages = await self._whole(decode_messages([item.message for item in state.queue]))
        return tuple(
            PendingInput(input_id=item.input_id, seq=item.seq, message=message, on_busy=item.on_busy)
            for item, message in zip(state.queue, messages, strict=True)
        )
