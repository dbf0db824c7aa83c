"""The boundary between the store service and a database: synchronous, transactional, the same for every backend.

Above it stands ``actors.storage.service`` (one writer, many waiters); below it are ``memory`` and ``sql``. Every
query names the tenant. Records, snapshots and outcomes are opaque bytes here; folding happens above.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from actors.domain.actions import Action
from actors.domain.journal import (
    Acquired,
    Appended,
    AppendPart,
    Due,
    Filter,
    FirstOutcome,
    NewSession,
    Origin,
    Refused,
    Snapshot,
    StoredRecord,
    StoreIdentity,
)
from actors.domain.retention import Retention
from actors.domain.session import SessionInfo
from actors.domain.usage import SpentOn
from actors.storage.backend_index import BackendIndex
from actors.storage.backend_kept import BackendKept


class Backend(BackendIndex, BackendKept, Protocol):
    """A store. All methods block and are called from worker threads; writes come from one thread only.

    Any method may raise StoreUnavailable (nothing happened, try again), StoreCorrupt or StoreLost.
    """

    @property
    def blocks(self) -> bool:
        """Whether methods wait for a disk or a network; if not, they may be called on an event loop."""
        ...

    @property
    def identity(self) -> StoreIdentity:
        """Who this store is; known after ``open``."""
        ...

    def open(self) -> StoreIdentity:
        """Create or migrate the schema, take the lock; nothing happens when it is open.

        Raises:
            StoreInUse: another process holds it.
            StoreNotWritable: it cannot be created or written.
            StoreCorrupt: it is not a readable store.
            SnapshotTooNew: a newer release wrote it.
        """
        ...

    def close(self) -> None:
        """Release everything; idempotent."""
        ...

    def next_term(self) -> int:
        """Begin a registry's term: one more than any before, durable."""
        ...

    def create(self, tenant: str, command_id: str, digest: str, sessions: Sequence[NewSession]) -> bool:
        """Write new sessions, all or none. The ids must be of one tenant.

        Returns:
            False when this command wrote them before (same digest), also when they were destroyed since; else True.

        Raises:
            SessionExists: ids in use, or given twice, also those that differ only by case; lists them all.
            CommandConflict: the command id was used with another digest.
        """
        ...

    def taken(self, tenant: str, sessions: Sequence[NewSession]) -> set[str]:
        """The names in use among those that new sessions want; see ``rules.names``."""
        ...

    def destroy(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """Remove the session with its records, actions, snapshots, results, messages to it and blobs that only it held.

        From here on none of that is found, although the records of a long journal are removed by ``purge``.
        What it told others is still delivered; a child that owes its parent an answer leaves a last message, which says
        that there will be none. Later appends of its epoch are refused with SessionNotFound. The command id is
        remembered for 24 hours.

        Returns:
            Whether there was anything to remove; the same command gets its first answer again.

        Raises:
            CommandConflict: the command id was used with another digest.
        """
        ...

    def find(self, tenant: str, session_id: str) -> SessionInfo | None:
        """The projection row by session id, exactly as it was given at create."""
        ...

    def row(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """The projection row by journal id."""
        ...

    def rows(
        self, tenant: str, wanted: Filter, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[SessionInfo, ...], str | None]:
        """A page of rows, newest update first, and the cursor of the next page (None at the end).

        Raises:
            InvalidRequest: ``after`` is not a cursor of a listing.
        """
        ...

    def count(self, tenant: str, wanted: Filter) -> int:
        """How many sessions match."""
        ...

    def acquire(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Acquired:
        """Take the next epoch.

        Raises:
            Fenced: the term is older than the store's, or the assignment older than the last one seen in it.
            SessionNotFound: no such journal.
        """
        ...

    def append(self, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        """Append parts, each by itself, all in one durable commit. Answers in the order of the parts."""
        ...

    def records(self, tenant: str, journal_id: str, *, after: int = 0, limit: int = 1000) -> tuple[StoredRecord, ...]:
        """Records with ``seq > after``, in order; at most ``limit`` and about 4 MiB.

        Raises:
            SessionNotFound: no such journal.
        """
        ...

    def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        """The first record that carries this cause."""
        ...

    def put_snapshot(self, tenant: str, journal_id: str, snapshot: Snapshot) -> bool:
        """Keep a snapshot; False when fenced, or when one of a higher seq is there. Older ones are dropped."""
        ...

    def snapshot(self, tenant: str, journal_id: str, *, upto: int | None = None) -> Snapshot | None:
        """The newest snapshot with ``seq <= upto``."""
        ...

    def blobs(self, tenant: str, digests: Sequence[str]) -> dict[str, bytes]:
        """The blobs that exist among these."""
        ...

    def actions(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        tree: bool = False,
        pending: bool = True,
        kind: str | None = None,
        action_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> tuple[tuple[Action, ...], str | None]:
        """A page of actions, oldest first, over all sessions of the tenant or one; and the next cursor.

        Args:
            tenant: Whose.
            journal_id: Of one session only.
            tree: Also of its children and their children.
            pending: Leave out those that are resolved.
            kind: Those of one kind only.
            action_id: This one only.
            after: The cursor that the page before gave.
            limit: Most actions of the page.

        Raises:
            InvalidRequest: ``after`` is not a cursor of a listing.
        """
        ...

    def spent(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[SpentOn, ...]:
        """What model calls took, by day and model, over all sessions of the tenant or one.

        Of a fork, what it took itself. What destroyed sessions took is not known any more.

        Args:
            tenant: Whose.
            journal_id: Of one session only.
            since: Not before this moment.
            until: Before this moment.
        """
        ...

    def due(self, now: datetime, *, limit: int = 1000) -> tuple[Due, ...]:
        """Over all tenants: sessions with ``wake_at <= now``, then those that work, longest since first."""
        ...

    def next_wake(self) -> datetime | None:
        """The nearest ``wake_at`` of all sessions that are active."""
        ...

    def expired(self, now: datetime, retention: Retention, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
        """Over all tenants: (tenant, journal_id) of sessions that nobody has used for as long as they are kept.

        A session with an open turn, a queued input, a pending action, a message on its way to or from it, or a child
        that owes it an answer is none.
        """
        ...

    def expire(self, tenant: str, journal_id: str, now: datetime, retention: Retention) -> bool:
        """Destroy a session if its time is over still, as ``destroy`` does but without a command; whether it was."""
        ...

    def purge(self, now: datetime, *, limit: int = 1000) -> int:
        """Forget what nothing refers to any more, at most ``limit`` rows of each kind.

        Those are ids of commands (kept for 24 hours, and as long as a message of that id may be delivered again),
        what hosts wrote down (kept for 30 days after the last use of a session without an open turn), and the records
        and blobs that were too many to be removed with their session.

        Returns:
            How many were forgotten.
        """
        ...

    def beginnings(self, tenant: str, journal_id: str) -> tuple[Origin, ...]:
        """Of a fork, whose records its journal begins with, in their order: those of ``journal_id`` end at ``upto``.

        Their sessions may be destroyed.
        """
        ...

    def erase(self, tenant: str, journal_id: str, *, limit: int = 1000) -> int:
        """Do for one destroyed session now what ``purge`` would do some time later.

        Returns:
            How many rows were removed: 0 when nothing is left but what forks share, or when the session lives.
        """
        ...

    def scrub(self) -> None:
        """Leave nothing of what was removed in files, as far as nobody reads them at this moment."""
        ...

    def health(self) -> None:
        """Return when the store can read and write, else raise a StoreError."""
        ...

    def stats(self) -> dict[str, Any]:
        """Sizes and counts, for people."""
        ...
