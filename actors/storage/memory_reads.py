"""Reads of the memory store, and the dictionaries they read.

Above is ``memory``, which adds the writes; below is ``memory_journal``.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from actors.domain.actions import Action
from actors.domain.ids import new_ulid
from actors.domain.journal import (
    Due,
    Filter,
    FirstOutcome,
    Letter,
    NewSession,
    Snapshot,
    StoredRecord,
    StoredResult,
    StoreIdentity,
)
from actors.domain.mcp import KnownServer
from actors.domain.retention import Retention
from actors.domain.session import SessionInfo, SessionState
from actors.domain.usage import SpentOn
from actors.errors import SessionNotFound, StoreLost, StoreUnavailable
from actors.storage.memory_journal import Journal
from actors.storage.moments import micros
from actors.storage.rules import SCHEMA_VERSION, SECRET_BYTES, cursor, names, read_cursor, session_key, within
from actors.storage.spending import CALLS, Spending

LOCATION: Final = "memory:"
"""What errors call this store."""

_Entry = TypeVar("_Entry")
_Place = tuple[int, str]


class Command(NamedTuple):
    """What a create or destroy was told, what it answered, and when."""

    digest: str
    outcome: bool
    at: datetime


class MemoryReads:
    """Everything in the store, and the questions about it."""

    blocks = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._identity = StoreIdentity(new_ulid(), SCHEMA_VERSION, LOCATION, secrets.token_hex(SECRET_BYTES))
        self._opened = False
        self._lost = False
        self._term = 0
        self._journals: dict[tuple[str, str], Journal] = {}
        self._by_key: dict[tuple[str, str], Journal] = {}
        self._blobs: dict[tuple[str, str], bytes] = {}
        self._commands: dict[tuple[str, str], Command] = {}
        self._servers: dict[tuple[str, str, str], KnownServer] = {}
        self._letters: dict[tuple[str, str], dict[tuple[str, int], Letter]] = {}

    @contextmanager
    def _access(self) -> Generator[None]:
        with self._lock:
            if self._lost:
                raise StoreLost(LOCATION)
            if not self._opened:
                raise StoreUnavailable("it is not open")
            yield

    def _existing(self, tenant: str, journal_id: str) -> Journal:
        journal = self._journals.get((tenant, journal_id))
        if journal is None:
            raise SessionNotFound(journal_id)
        return journal

    def _of(self, tenant: str) -> list[Journal]:
        return [journal for (owner, _), journal in self._journals.items() if owner == tenant]

    def _below(self, journals: list[Journal]) -> list[Journal]:
        """The journals of the children of these sessions, of theirs, and so on."""
        found = list(journals)
        for above in found:
            place = (above.row.tenant, above.row.journal_id)
            found += [one for one in self._journals.values() if (one.row.tenant, one.row.parent_journal_id) == place]
        return found[len(journals) :]

    def taken(self, tenant: str, sessions: Iterable[NewSession]) -> set[str]:
        """See ``Backend.taken``."""
        with self._access():
            return self._taken(tenant, sessions)

    def _taken(self, tenant: str, sessions: Iterable[NewSession]) -> set[str]:
        taken: set[str] = set()
        for new in sessions:
            for found in (
                self._by_key.get((tenant, session_key(new.row.session_id))),
                self._journals.get((tenant, new.row.journal_id)),
            ):
                if found is not None:
                    taken |= names(found.row.session_id, found.row.journal_id)
        return taken

    def find(self, tenant: str, session_id: str) -> SessionInfo | None:
        """See ``Backend.find``."""
        with self._access():
            journal = self._by_key.get((tenant, session_key(session_id)))
            return journal.row if journal is not None and journal.row.session_id == session_id else None

    def row(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """See ``Backend.row``."""
        with self._access():
            journal = self._journals.get((tenant, journal_id))
            return None if journal is None else journal.row

    def rows(
        self, tenant: str, wanted: Filter, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[SessionInfo, ...], str | None]:
        """See ``Backend.rows``."""
        with self._access():
            found = [journal.row for journal in self._of(tenant) if _matches(journal.row, wanted)]
        return _page(found, lambda row: (micros(row.updated_at), row.journal_id), after, limit, newest_first=True)

    def count(self, tenant: str, wanted: Filter) -> int:
        """See ``Backend.count``."""
        with self._access():
            return sum(_matches(journal.row, wanted) for journal in self._of(tenant))

    def records(self, tenant: str, journal_id: str, *, after: int = 0, limit: int = 1000) -> tuple[StoredRecord, ...]:
        """See ``Backend.records``."""
        with self._access():
            return self._existing(tenant, journal_id).page(after, limit)

    def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        """See ``Backend.first_outcome``."""
        with self._access():
            journal = self._journals.get((tenant, journal_id))
            return None if journal is None else journal.claims.get(command_id)

    def snapshot(self, tenant: str, journal_id: str, *, upto: int | None = None) -> Snapshot | None:
        """See ``Backend.snapshot``."""
        with self._access():
            journal = self._journals.get((tenant, journal_id))
            return None if journal is None else journal.nearest(upto)

    def blobs(self, tenant: str, digests: Sequence[str]) -> dict[str, bytes]:
        """See ``Backend.blobs``."""
        with self._access():
            return {digest: self._blobs[tenant, digest] for digest in digests if (tenant, digest) in self._blobs}

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
        """See ``Backend.actions``."""
        with self._access():
            journals = [one for one in self._of(tenant) if journal_id in {None, one.row.journal_id}]
            if tree and journal_id is not None:
                journals += self._below(journals)
            every = [action for one in journals for action in one.actions.values() if kind in {None, action.kind}]
            wanted = [action for action in every if action_id in {None, action.action_id}]
            found = [action for action in wanted if action.pending or not pending]
        return _page(found, lambda action: (micros(action.requested_at), action.action_id), after, limit)

    def spent(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[SpentOn, ...]:
        """See ``Backend.spent``."""
        spending = Spending()
        with self._access():
            journals = [one for one in self._of(tenant) if journal_id in {None, one.row.journal_id}]
            calls = [record for one in journals for record in one.records if record.type in CALLS]
        for record in calls:
            if (since is None or record.at >= since) and (until is None or record.at < until):
                spending.add(record.type, record.at, record.body)
        return spending.rows

    def receivers(self, *, after: tuple[str, str] | None = None, limit: int = 1000) -> tuple[tuple[str, str], ...]:
        """See ``Backend.receivers``."""
        with self._access():
            return tuple(sorted(key for key in self._letters if after is None or key > after)[:limit])

    def letters(self, tenant: str, target_journal_id: str, *, limit: int = 100) -> tuple[Letter, ...]:
        """See ``Backend.letters``."""
        with self._access():
            waiting = self._letters.get((tenant, target_journal_id), {})
            page = [waiting[key] for key in sorted(waiting)[:limit]]
            return tuple(within(page, lambda letter: len(letter.body)))

    def expired(self, now: datetime, retention: Retention, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
        """See ``Backend.expired``."""
        with self._access():
            over = (key for key, journal in self._journals.items() if self._is_expired(journal, now, retention))
            return tuple(islice(over, limit))

    def _is_expired(self, journal: Journal, now: datetime, retention: Retention) -> bool:
        row = journal.row
        ttl = retention.ttl_of(row.tenant)
        expires_at = row.expires_at or (row.updated_at + ttl if ttl is not None else None)
        if expires_at is None or expires_at > now or row.open_turn is not None or row.queued:
            return False
        if any(action.pending for action in journal.actions.values()):
            return False
        children = (one.row for one in self._journals.values() if one.row.parent_journal_id == row.journal_id)
        if any(child.task is not None and child.tenant == row.tenant for child in children):
            return False
        mail = (letter for some in self._letters.values() for letter in some.values())
        sent = any((letter.tenant, letter.journal_id) == (row.tenant, row.journal_id) for letter in mail)
        return not sent and (row.tenant, row.journal_id) not in self._letters

    def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        """See ``Backend.servers``."""
        with self._access():
            return tuple((tenant, journal_id, one) for (tenant, journal_id, _), one in sorted(self._servers.items()))

    def results(self, tenant: str, journal_id: str) -> tuple[StoredResult, ...]:
        """See ``Backend.results``."""
        with self._access():
            journal = self._journals.get((tenant, journal_id))
            return () if journal is None else tuple(result for _, result in sorted(journal.results.items()))

    def due(self, now: datetime, *, limit: int = 1000) -> tuple[Due, ...]:
        """See ``Backend.due``."""
        with self._access():
            rows = [one.row for one in self._journals.values()]
            found = [row for row in rows if _timer_is_due(row, now)]
            found += sorted((row for row in rows if row.needs_actor), key=lambda row: row.updated_at)
            due = dict.fromkeys(Due(row.tenant, row.journal_id, row.session_id, row.head_seq) for row in found)
            return tuple(due)[:limit]

    def next_wake(self) -> datetime | None:
        """See ``Backend.next_wake``."""
        with self._access():
            return min(filter(None, map(_wakes_at, self._journals.values())), default=None)

    def stats(self) -> dict[str, Any]:
        """See ``Backend.stats``: the store's id and place, sessions, records, bytes of records and blobs."""
        with self._access():
            records = [record for journal in self._journals.values() for record in journal.records]
            size = sum(len(record.body) for record in records) + sum(map(len, self._blobs.values()))
            figures = {"sessions": len(self._journals), "records": len(records), "bytes": size}
            return {"kind": "memory", "store_id": self._identity.store_id, "location": LOCATION, **figures}


def _matches(row: SessionInfo, wanted: Filter) -> bool:
    return (
        wanted.state in {None, row.state}
        and wanted.activity in {None, row.activity}
        and wanted.parent_journal_id in {None, row.parent_journal_id}
        and not (wanted.roots_only and row.parent_journal_id is not None)
        and (wanted.name_contains or "").casefold() in row.name.casefold()
    )


def _wakes_at(journal: Journal) -> datetime | None:
    return journal.row.wake_at if journal.row.state is SessionState.active else None


def _timer_is_due(row: SessionInfo, now: datetime) -> bool:
    return row.state is SessionState.active and row.wake_at is not None and row.wake_at <= now


def _page(
    entries: Iterable[_Entry],
    place: Callable[[_Entry], _Place],
    after: str | None,
    limit: int,
    *,
    newest_first: bool = False,
) -> tuple[tuple[_Entry, ...], str | None]:
    """Sort by place, go on behind the cursor, and cut."""
    ordered = sorted(entries, key=place, reverse=newest_first)
    if after is not None:
        here = read_cursor(after)
        ordered = [entry for entry in ordered if (place(entry) < here if newest_first else place(entry) > here)]
    page = tuple(ordered[:limit])
    return page, cursor(*place(page[-1])) if page and len(ordered) > limit else None
