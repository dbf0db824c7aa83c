"""From things that happened to one append: pure planning, the heart of the driver in ``actors.session.runner``.

``plan`` folds what happened, then everything that follows from it, and says what to append and what runs afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.blobs import digest_of
from actors.domain.calls import Attached
from actors.domain.journal import NewSession, OutboxRow
from actors.domain.records import Draft
from actors.domain.turns import TurnEnd, TurnStatus
from actors.errors import GreenroomError, InternalError, InvalidRequest, NoModel
from actors.session.children import born, told
from actors.session.decide import decide
from actors.session.effects import Effects, next_effects
from actors.session.lanes import ending
from actors.session.outcomes import closing_draft, late_draft, lost_draft, too_large_draft
from actors.session.projection import place, small
from actors.session.spilling import spilled
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.withholding import Inspected, noted, withheld

MAX_FOLLOWING = 10_000
"""Records that may follow from one thing that happened; more is a loop in the core."""

MAX_BLOB_BYTES = 16 * 1024 * 1024
"""Content beside the records of one append after which it takes nothing more: all of it travels in one frame."""


@dataclass(frozen=True, slots=True)
class CommandGiven:
    """Somebody told the session something. ``inspected``: what security providers found in it."""

    command: c.Command
    inspected: Inspected = None


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """A host, or the store, says what came of an attempt."""

    answer: Attached


@dataclass(frozen=True, slots=True)
class CallLost:
    """The host of an attempt is gone, and so is everything it ran. ``untouched``: the attempt has had no effect."""

    answer: Attached
    detail: str
    untouched: bool = False


@dataclass(frozen=True, slots=True)
class TimersDue:
    """Time has passed; which timers are over is the state's to say."""


@dataclass(frozen=True, slots=True)
class WorldChanged:
    """Something in the surroundings is known now that was not before."""


Happening = CommandGiven | CallAnswered | CallLost | TimersDue | WorldChanged


@dataclass(slots=True)
class Plan:
    """One append, and what comes of it.

    Attributes:
        left: Things that happened and are left for the next append, since this one carries enough.
        replies: For each command given, its reply or refusal.
        digests: By seq, the digest of the command whose first record stands there.
        ends: Turns that end in this append: the inputs they answer, and how.
    """

    before: State
    state: State
    records: list[r.Record] = field(default_factory=list[r.Record])
    digests: dict[int, str] = field(default_factory=dict[int, str])
    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    creations: list[NewSession] = field(default_factory=list[NewSession])
    outbox: list[OutboxRow] = field(default_factory=list[OutboxRow])
    left: Sequence[Happening] = ()
    replies: list[tuple[c.Command, c.Reply | GreenroomError]] = field(
        default_factory=list[tuple[c.Command, c.Reply | GreenroomError]]
    )
    ends: list[tuple[tuple[str, ...], TurnEnd, State]] = field(
        default_factory=list[tuple[tuple[str, ...], TurnEnd, State]]
    )
    effects: Effects = Effects()


def plan(state: State, happenings: Sequence[Happening], around: Surroundings, *, now: datetime, epoch: int) -> Plan:
    """What to append for these happenings, in their order, and for all that follows from them."""
    made = Plan(before=state, state=state)
    for number, happening in enumerate(happenings, 1):
        _happen(made, happening, around, now, epoch)
        if sum(map(len, made.blobs.values())) > MAX_BLOB_BYTES:
            made.left = happenings[number:]
            break
    for _ in range(MAX_FOLLOWING):
        made.effects = next_effects(made.state, around)
        if not made.effects.drafts:
            return made
        for draft in made.effects.drafts:
            _place(made, draft, now, epoch)
    raise InternalError("the core does not come to rest")


def _happen(made: Plan, happening: Happening, around: Surroundings, now: datetime, epoch: int) -> None:
    if isinstance(happening, CommandGiven):
        command = happening.command
        if isinstance(command, c.Send) and model_of(made.state, around) is None:
            made.replies.append((command, NoModel(made.state.session_id)))
        else:
            made.replies.append((command, _obey(made, happening, around, now, epoch)))
        return
    drafts: list[Draft | None] = []
    if isinstance(happening, CallAnswered):
        drafts = [closing_draft(made.state, happening.answer)]
        if drafts == [None]:
            drafts = [late_draft(made.state, happening.answer)]
        drafts += [noted(happening.answer, draft) for draft in drafts if draft is not None]
    elif isinstance(happening, CallLost):
        drafts = [lost_draft(made.state, happening.answer, happening.detail, untouched=happening.untouched)]
    elif isinstance(happening, TimersDue):
        turn_id = made.state.turn.turn_id if made.state.turn else None
        due = made.state.timers_due(now)
        drafts = [Draft(r.TimerFired, r.TimerFired.Data(name=name), turn_id) for name in due]
    for draft in drafts:
        if draft is not None:
            _place_bounded(made, draft, now, epoch)


def _place_bounded(made: Plan, draft: Draft, now: datetime, epoch: int) -> None:
    """Place what a host gave, whatever its size: refusing it would leave its call open for ever."""
    try:
        _place(made, draft, now, epoch)
    except InvalidRequest:
        _place(made, too_large_draft(draft), now, epoch)


def _obey(made: Plan, given: CommandGiven, around: Surroundings, now: datetime, epoch: int) -> c.Reply | GreenroomError:
    """Place a command's records; all of them or, when it is refused, none."""
    command = given.command
    try:
        blobs: dict[str, bytes] = {}
        drafts = withheld(made.state, around, decide(made.state, command), given.inspected)
        drafts = [small(draft, blobs) for draft in drafts]
    except GreenroomError as refusal:
        return refusal
    input_id = command.command_id if isinstance(command, c.Send) else None
    if not drafts:
        return c.Reply(changed=False, input_id=input_id)
    made.blobs |= blobs
    seq = made.state.seq + 1
    made.digests[seq] = command.digest()
    for draft in drafts:
        _place(made, draft, now, epoch)
    return c.Reply(seq=seq, record=drafts[0].type, input_id=input_id)


def _place(made: Plan, draft: Draft, now: datetime, epoch: int) -> None:
    draft = spilled(made.state, draft, made.blobs)
    drafts = [small(one, made.blobs) for one in ending(made.state, draft)]
    for one in drafts:
        if one.apart is not None:
            made.blobs[digest_of(one.apart)] = one.apart
        _place_one(made, one, now, epoch)


def _place_one(made: Plan, draft: Draft, now: datetime, epoch: int) -> None:
    before = made.state
    turn = before.turn
    made.state, record = place(before, draft, now=now, epoch=epoch)
    made.records.append(record)
    if draft.birth is not None and isinstance(record, r.ChildStarted):
        made.creations.append(born(before, record, draft.birth, now=now))
    letter = told(before, record, made.state, made.blobs)
    if letter is not None:
        made.outbox.append(letter)
    if turn is not None and isinstance(record, r.TURN_ENDS):
        made.ends.append((turn.inputs, turn_end(record), made.state))


def turn_end(record: r.TurnCompleted | r.TurnFailed | r.TurnCancelled) -> TurnEnd:
    """The end of a turn, from its last record."""
    turn_id = record.turn_id or ""
    if isinstance(record, r.TurnCompleted):
        return TurnEnd(
            turn_id=turn_id,
            status=TurnStatus.completed,
            seq=record.seq,
            text=record.data.text,
            parts=record.data.parts,
            usage=record.data.usage,
            tool_calls_count=record.data.tool_calls_count,
            cost_usd=record.data.cost_usd,
        )
    if isinstance(record, r.TurnFailed):
        return TurnEnd(
            turn_id=turn_id,
            status=TurnStatus.failed,
            seq=record.seq,
            usage=record.data.usage,
            code=record.data.code,
            message=record.data.message,
            error_args=record.data.error_args,
        )
    return TurnEnd(
        turn_id=turn_id,
        status=TurnStatus.cancelled,
        seq=record.seq,
        usage=record.data.usage,
        code="cancelled",
        message=record.data.reason,
    )
