"""What goes into a store and comes out of it, as every store and every user of one sees it.

Records, snapshots and outcomes are opaque bytes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from actors.domain.actions import Action
from actors.domain.session import SessionInfo
from actors.errors import GreenroomError


@dataclass(frozen=True, slots=True)
class StoreIdentity:
    """Who the store is: made once, never changed. ``secret``: 32 bytes in hexadecimal digits that it alone knows."""

    store_id: str
    schema_version: int
    location: str
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as a store keeps it; ``body`` is its whole JSON form."""

    seq: int
    type: str
    at: datetime
    epoch: int
    body: bytes
    cause: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message to another session, written with the records that caused it. Key: sender journal and seq.

    Attributes:
        body: The command for the receiver, as JSON; its command id names the sender's journal and ``seq``.
        blobs: Digests of what the store keeps of its content: from now on they are held for the receiver too.
        heirs: Who gets it instead when the receiver is gone: the first of these that is not.
    """

    seq: int
    target_journal_id: str
    body: bytes
    blobs: tuple[str, ...] = ()
    heirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was not delivered yet, with its sender."""

    tenant: str
    journal_id: str
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fork begins: behind the record ``upto`` of the journal of its source."""

    journal_id: str
    upto: int


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be written: its first records, what is kept apart of them, and its projection row.

    Attributes:
        origin: Of a fork, whose records up to that place are the fork's too; its own ones are numbered on from there.
    """

    row: SessionInfo
    records: tuple[StoredRecord, ...]
    blobs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class AppendPart:
    """One journal's part of an append; it succeeds or is refused by itself, as one transaction.

    Attributes:
        expected_seq: The head this append was planned on.
        batch_id: The same for every retry of this part.
        records: Gapless from ``expected_seq + 1``.
        row: The projection after these records.
        actions: Upserts by action_id.
        blobs: By digest; one that exists already is left alone.
        creations: Child sessions that are born in this append.
        settled: Attempts (call_id, attempt) of which everything is known now: what hosts wrote down of them goes, and
            the facts of attempts before them.
    """

    tenant: str
    journal_id: str
    epoch: int
    expected_seq: int
    batch_id: str
    records: tuple[StoredRecord, ...]
    row: SessionInfo
    actions: tuple[Action, ...] = ()
    outbox: tuple[OutboxRow, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    creations: tuple[NewSession, ...] = ()
    settled: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Appended:
    """The part is durable. ``head_seq``: the journal's head afterwards; ``replayed``: it was durable before."""

    head_seq: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The part was not written. ``error`` says why, and is what the writer raises.

    Fenced: a newer epoch. CommandConflict: the cause of a record that carries a digest exists already (with any
    digest). SessionNotFound: destroyed meanwhile. SessionExists: a child's id is in use. InvalidRequest: a record is
    larger than 256 KiB. InternalError: expected_seq is not the head and the batch is not the journal's last one, or
    the part contradicts itself.
    """

    error: GreenroomError


@dataclass(frozen=True, slots=True)
class Acquired:
    """A new activation. ``epoch`` is greater than any before."""

    epoch: int
    head_seq: int


@dataclass(frozen=True, slots=True)
class FirstOutcome:
    """What a command led to when it was first sent."""

    seq: int
    digest: str
    type: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The fold at ``seq``, as JSON; ``version`` is that of the state's schema."""

    seq: int
    version: int
    epoch: int
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What a host wrote down of one attempt.

    Attributes:
        outcome: What came of it, when nobody fetched that; the first one stays.
        facts: What the tool recorded before it took effect, to tell afterwards whether it did; the last one stays.
    """

    call_id: str
    attempt: int
    outcome: bytes | None = None
    facts: bytes | None = None


class Known(NamedTuple):
    """A session that there is, by its names."""

    session_id: str
    journal_id: str


class Due(NamedTuple):
    """A session that should live in an actor now; ``head_seq`` is its last record."""

    tenant: str
    journal_id: str
    session_id: str
    head_seq: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sessions a listing shows; None means any. ``roots_only`` leaves children out."""

    state: str | None = None
    activity: str | None = None
    parent_journal_id: str | None = None
    roots_only: bool = False
    name_contains: str | None = None
