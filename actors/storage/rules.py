"""What every backend decides alike, as pure functions: which parts are taken, and how listings are cut into pages.

Above stand ``memory`` and ``sql``, which look up what the rules ask for and carry out what they decide.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple, TypeVar

from pydantic_core import from_json

from actors.domain.children import ChildOutcome, ChildReport
from actors.domain.ids import letter_id
from actors.domain.journal import Appended, AppendPart, NewSession, Origin, OutboxRow, Refused, StoredRecord
from actors.domain.letters import ReportChild, ReturnLease
from actors.domain.records import MAX_RECORD_BYTES
from actors.domain.session import SessionInfo
from actors.errors import (
    CommandConflict,
    Fenced,
    GreenroomError,
    InternalError,
    InvalidRequest,
    SessionExists,
    SessionNotFound,
)

T = TypeVar("T")

SCHEMA_VERSION: Final = 2
"""Raised with every change of what is stored (``schema``); ``migrations`` then leads from the version before to it."""

SECRET_BYTES: Final = 32
"""Of the store's secret."""

RESULT_MEMORY: Final = timedelta(days=30)
"""How long what hosts wrote down is kept of a session that nobody uses. The next activation looks at all of it: writes
down what came late, and has the rest removed; this is the bound for sessions that are never used again."""

COMMAND_MEMORY: Final = timedelta(hours=24)
"""How long the ids of create and destroy are kept: clients retry within minutes, a day covers a paused laptop."""

PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of record bodies in one answer: some milliseconds of reading and sending, so that others get their turn."""


PIECE_BYTES: Final = 256 * 1024
"""Bytes of one batch for a follower: dozens of batches may be on their way to a reader that stalls."""

MAX_PAGE: Final = 1000
"""Most entries of one answer, whatever was asked for; listings go on with a cursor."""


MAX_DUE: Final = 20_000
"""Sessions that one look at what is due finds, some 2 MB. Those that are resident and have run for long are among them,
and come before others that run: with more of them than this, the others would have to wait for their end."""


def bounded(limit: int, most: int = MAX_PAGE) -> int:
    """The number of entries that an answer may have."""
    return min(max(limit, 1), most)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a journal stands. ``batch_id`` and ``batch_from``: the last append and the head it was planned on."""

    epoch: int
    seq: int
    batch_id: str | None = None
    batch_from: int = 0

    def after(self, part: AppendPart) -> Head:
        """The head once ``part`` is written."""
        return Head(self.epoch, self.seq + len(part.records), part.batch_id, part.expected_seq)


def session_key(session_id: str) -> str:
    """What must be unique in a tenant: ids that differ only by case are one."""
    return session_id.lower()


def part_bytes(part: AppendPart) -> int:
    """What a part weighs: its records and blobs."""
    return sum(len(record.body) for record in part.records) + sum(map(len, part.blobs.values()))


def claims(part: AppendPart) -> list[str]:
    """The command ids that a part uses up: causes of records that carry a command's digest."""
    return [record.cause for record in part.records if record.digest is not None and record.cause is not None]


def names(session_id: str, journal_id: str) -> set[str]:
    """What a session occupies in its tenant: its id without regard to case, and its journal id."""
    return {session_key(session_id), f"journal:{journal_id}"}


def judge(
    part: AppendPart, head: Head | None, used: Collection[str], taken: Collection[str]
) -> Appended | Refused | None:
    """Decide about one part; None means that it is to be written.

    Args:
        part: What is to be written.
        head: Where the journal stands; None when there is no such journal.
        used: Command ids that the journal has seen, at least those among ``claims(part)``.
        taken: Names in use in the tenant, at least those that its new sessions want.
    """
    if head is None:
        return Refused(SessionNotFound(part.row.session_id))
    if head.batch_id == part.batch_id and head.batch_from == part.expected_seq:
        return Appended(head.seq, replayed=True)
    error = _objection(part, head, used, taken)
    return None if error is None else Refused(error)


def _objection(part: AppendPart, head: Head, used: Collection[str], taken: Collection[str]) -> GreenroomError | None:
    if part.epoch != head.epoch:
        return Fenced(part.journal_id, part.epoch, head.epoch)
    if part.expected_seq != head.seq:
        return InternalError(f"append planned on seq {part.expected_seq}, the head is {head.seq}")
    return _contradiction(part) or _conflict(claims(part), used) or occupied(part.creations, taken)


def _contradiction(part: AppendPart) -> GreenroomError | None:
    if (part.row.tenant, part.row.journal_id) != (part.tenant, part.journal_id):
        return InternalError("append with another session's row")
    for seq, record in enumerate(part.records, part.expected_seq + 1):
        if record.seq != seq:
            return InternalError(f"append with record {record.seq} in the place of {seq}")
        if len(record.body) > MAX_RECORD_BYTES:
            return InvalidRequest(f"A record has {len(record.body)} bytes, at most {MAX_RECORD_BYTES} are allowed.")
    return unfit(part.tenant, part.creations)


def unfit(tenant: str, sessions: Iterable[NewSession]) -> InternalError | None:
    """The error of new sessions that are of another tenant, or do not begin with the right record."""
    for new in sessions:
        first = new.origin.upto + 1 if new.origin else 1
        numbers = [record.seq for record in new.records]
        if new.row.tenant != tenant or not numbers or numbers != list(range(first, first + len(numbers))):
            return InternalError(f"new session of another tenant, or whose records do not begin with {first}")
    return None


class Segment(NamedTuple):
    """Records of a journal that another one holds: those behind the segment before, up to ``upto``."""

    source: str
    upto: int


def shared(before: Sequence[Segment], origin: Origin) -> list[Segment]:
    """Whose records a fork begins with.

    Args:
        before: Whose the journal that is forked begins with.
        origin: That journal, and the last record of it that the fork has.
    """
    kept = [one for one in before if one.upto < origin.upto]
    cut = next((one for one in before if one.upto >= origin.upto), None)
    return [*kept, Segment(cut.source if cut else origin.journal_id, origin.upto)]


def unborn(sessions: Iterable[NewSession], heads: Callable[[str], int | None]) -> GreenroomError | None:
    """The error of a fork whose source is gone, or has no such record; ``heads``: by journal, its last record."""
    for new in sessions:
        head = heads(new.origin.journal_id) if new.origin else 0
        if new.origin is not None and head is None:
            return SessionNotFound(new.origin.journal_id)
        if new.origin is not None and head is not None and not 0 < new.origin.upto <= head:
            return InternalError(f"fork at record {new.origin.upto} of a journal with {head}")
    return None


def _conflict(claimed: list[str], used: Collection[str]) -> CommandConflict | None:
    seen: set[str] = set()
    for command_id in claimed:
        if command_id in used or command_id in seen:
            return CommandConflict(command_id)
        seen.add(command_id)
    return None


def occupied(sessions: Iterable[NewSession], taken: Collection[str]) -> SessionExists | None:
    """The error that lists all new sessions whose names are taken, or occur twice among them."""
    seen: set[str] = set()
    refused: list[str] = []
    for new in sessions:
        wanted = names(new.row.session_id, new.row.journal_id)
        if not wanted.isdisjoint(taken) or not wanted.isdisjoint(seen):
            refused.append(new.row.session_id)
        seen |= wanted
    return SessionExists(refused) if refused else None


def last_messages(row: SessionInfo) -> tuple[OutboxRow, ...]:
    """What a session that is being destroyed still has to tell its parent: that its task has no answer, what is left.

    They stand in the places behind its last record: no record of its own can have said this.
    """
    told: list[OutboxRow] = []
    if row.task is not None and row.parent_journal_id is not None:
        report = ChildReport(
            child_id=row.session_id,
            child_journal_id=row.journal_id,
            outcome=ChildOutcome.cancelled,
            code="destroyed",
            message="the child was destroyed",
            usage=row.usage,
            cost_usd=row.cost_usd,
        )
        seq = row.head_seq + 1
        answer = ReportChild(command_id=letter_id(row.journal_id, seq), report=report)
        told.append(OutboxRow(seq, row.parent_journal_id, answer.model_dump_json().encode()))
    budget = row.budget
    if budget is not None and budget.lease is not None and budget.due is not None:
        seq, (parent, *above) = row.head_seq + 2, budget.lease.lenders
        rest = ReturnLease(
            command_id=letter_id(row.journal_id, seq), child_journal_id=row.journal_id, amounts=budget.due
        )
        told.append(OutboxRow(seq, parent, rest.model_dump_json().encode(), heirs=tuple(above)))
    return tuple(told)


def heirs_of(row: SessionInfo) -> tuple[str, ...]:
    """Who gets what was on its way back to a session that is being destroyed: those above it, the nearest first."""
    return row.budget.lease.lenders if row.budget is not None and row.budget.lease is not None else ()


def is_heritable(body: bytes) -> bool:
    """Whether a message to a session that is gone is for those above it: what is left of a lease is."""
    try:
        return from_json(body).get("kind") == "return_lease"
    except (ValueError, AttributeError):
        return False  # Nobody could read it there either.


def within(entries: Iterable[T], size: Callable[[T], int], limit: int = PAGE_BYTES) -> Iterator[T]:
    """The entries up to the one with which they have ``limit`` bytes."""
    total = 0
    for entry in entries:
        yield entry
        total += size(entry)
        if total >= limit:
            return


def is_last(page: Sequence[StoredRecord], limit: int) -> bool:
    """Whether a page of at most ``limit`` records ended because there were no more."""
    return len(page) < limit and sum(len(record.body) for record in page) < PAGE_BYTES


def pieces(page: Sequence[StoredRecord], size: int = PIECE_BYTES) -> Iterator[tuple[StoredRecord, ...]]:
    """The page in pieces of about ``size`` bytes, none empty."""
    start = total = 0
    for end, record in enumerate(page, 1):
        total += len(record.body)
        if total >= size or end == len(page):
            yield tuple(page[start:end])
            start, total = end, 0


def cursor(at: int, name: str) -> str:
    """The place in a listing behind an entry: its time in microseconds and its id."""
    return f"{at}~{name}"


def read_cursor(text: str) -> tuple[int, str]:
    """The time and the id of a cursor.

    Raises:
        InvalidRequest: The text is not a cursor.
    """
    at, separator, name = text.partition("~")
    # 18 digits hold any microsecond of our era and fit a database's 64 bits.
    if not separator or not name or not at.removeprefix("-").isdecimal() or len(at) > 18:
        raise InvalidRequest("The cursor is not one that this listing gave; begin again without it.")
    return int(at), name
