"""A store in the memory of one process: the same answers as the database gives, and nothing left afterwards.

Above stands ``actors.storage.service``; below are dictionaries under one lock, since readers' threads come at any time.
Tests, notebooks and the default runtime use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from actors.domain.ids import letter_id, utc_now
from actors.domain.journal import (
    Acquired,
    Appended,
    AppendPart,
    Letter,
    NewSession,
    Origin,
    OutboxRow,
    Refused,
    Snapshot,
    StoredResult,
    StoreIdentity,
)
from actors.domain.mcp import KnownServer
from actors.domain.retention import Retention
from actors.errors import CommandConflict, Fenced, SessionNotFound, StoreLost, StoreUnavailable, Superseded
from actors.storage.memory_index import MemoryIndex
from actors.storage.memory_journal import Journal
from actors.storage.memory_reads import LOCATION, Command
from actors.storage.rules import (
    COMMAND_MEMORY,
    RESULT_MEMORY,
    Segment,
    heirs_of,
    is_heritable,
    judge,
    last_messages,
    occupied,
    session_key,
    shared,
    unborn,
    unfit,
)


class MemoryBackend(MemoryIndex):
    """A store that lives as long as this object is open."""

    # --- life ------------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> StoreIdentity:
        """Who this store is; known after ``open``."""
        if not self._opened:
            raise StoreUnavailable("it is not open")
        return self._identity

    def open(self) -> StoreIdentity:
        """See ``Backend.open``; StoreLost when it was closed before."""
        if self._lost:
            raise StoreLost(LOCATION)
        self._opened = True
        return self._identity

    def close(self) -> None:
        """Forget everything; idempotent."""
        with self._lock:
            self._lost = True
            for table in (self._journals, self._by_key, self._blobs, self._commands, self._servers):
                table.clear()

    # --- commands --------------------------------------------------------------------------------------------------

    def next_term(self) -> int:
        """See ``Backend.next_term``."""
        with self._access():
            self._term += 1
            return self._term

    def create(self, tenant: str, command_id: str, digest: str, sessions: Sequence[NewSession]) -> bool:
        """See ``Backend.create``."""
        with self._access():
            if self._first_answer(tenant, command_id, digest) is not None:
                return False
            error = unfit(tenant, sessions) or occupied(sessions, self._taken(tenant, sessions))
            error = error or unborn(sessions, lambda journal_id: self._head(tenant, journal_id))
            if error is not None:
                raise error
            for new in sessions:
                self._bear(new)
            self._commands[tenant, command_id] = Command(digest, True, utc_now())
            return True

    def destroy(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """See ``Backend.destroy``."""
        with self._access():
            first = self._first_answer(tenant, command_id, digest)
            if first is not None:
                return first
            journal = self._journals.get((tenant, journal_id))
            if journal is not None:
                self._erase(journal)
            self._commands[tenant, command_id] = Command(digest, journal is not None, utc_now())
            return journal is not None

    def acquire(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Acquired:
        """See ``Backend.acquire``."""
        with self._access():
            journal = self._existing(tenant, journal_id)
            if term < self._term:
                raise Superseded(term, self._term)
            if (term, assignment_no) < journal.assignment:
                raise Fenced(journal_id, assignment_no, journal.assignment[1])
            journal.acquire(term, assignment_no)
            return Acquired(journal.head.epoch, journal.head.seq)

    def append(self, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        """See ``Backend.append``."""
        with self._access():
            return [self._append(part) for part in parts]

    def put_snapshot(self, tenant: str, journal_id: str, snapshot: Snapshot) -> bool:
        """See ``Backend.put_snapshot``."""
        with self._access():
            journal = self._journals.get((tenant, journal_id))
            if journal is None or snapshot.epoch != journal.head.epoch or snapshot.seq > journal.head.seq:
                return False
            if journal.snapshot is not None and journal.snapshot.seq > snapshot.seq:
                return False
            journal.snapshot = snapshot
            return True

    def put_server(self, tenant: str, journal_id: str, name: str, server: KnownServer | None) -> None:
        """See ``Backend.put_server``."""
        with self._access():
            self._servers.pop((tenant, journal_id, name), None)
            if server is not None:
                self._servers[tenant, journal_id, name] = server

    def put_result(self, tenant: str, journal_id: str, result: StoredResult) -> None:
        """See ``Backend.put_result``."""
        with self._access():
            journal = self._journals.get((tenant, journal_id))
            if journal is not None:
                journal.keep(result)

    def delivered(self, letters: Sequence[tuple[str, str, int]]) -> None:
        """See ``Backend.delivered``."""
        with self._access():
            done = {(tenant, journal_id, seq) for tenant, journal_id, seq in letters}
            for (tenant, target), waiting in list(self._letters.items()):
                left = {key: letter for key, letter in waiting.items() if (tenant, *key) not in done}
                self._letters[tenant, target] = left
                if not left:
                    del self._letters[tenant, target]

    def expire(self, tenant: str, journal_id: str, now: datetime, retention: Retention) -> bool:
        """See ``Backend.expire``."""
        with self._access():
            journal = self._journals.get((tenant, journal_id))
            if journal is None or not self._is_expired(journal, now, retention):
                return False
            self._erase(journal)
            return True

    def purge(self, now: datetime, *, limit: int = 1000) -> int:
        """See ``Backend.purge``."""
        with self._access():
            letters = {letter_id(one.journal_id, one.seq) for some in self._letters.values() for one in some.values()}
            old = [
                key
                for key, command in self._commands.items()
                if command.at < now - COMMAND_MEMORY and key[1] not in letters
            ][:limit]
            for key in old:
                del self._commands[key]
            return len(old) + self._purge_results(now, limit)

    def beginnings(self, tenant: str, journal_id: str) -> tuple[Origin, ...]:
        """See ``Backend.beginnings``."""
        with self._access():
            journal = self._journals.get((tenant, journal_id))
            sources = journal.sources if journal is not None else ()
            return tuple(Origin(source.row.journal_id, upto) for source, upto in sources)

    def erase(self, tenant: str, journal_id: str, *, limit: int = 1000) -> int:
        """See ``Backend.erase``: a session goes as a whole when it is destroyed."""
        del tenant, journal_id, limit
        with self._access():
            return 0

    def scrub(self) -> None:
        """See ``Backend.scrub``; there are no files."""

    def _purge_results(self, now: datetime, limit: int) -> int:
        unused = [
            (journal, key)
            for journal in self._journals.values()
            if journal.row.open_turn is None and journal.row.updated_at < now - RESULT_MEMORY
            for key in journal.results
        ][:limit]
        for journal, key in unused:
            del journal.results[key]
        return len(unused)

    def health(self) -> None:
        """See ``Backend.health``."""
        with self._access():
            return

    def _append(self, part: AppendPart) -> Appended | Refused:
        journal = self._journals.get((part.tenant, part.journal_id))
        head = None if journal is None else journal.head
        used = () if journal is None else journal.claims
        answer = judge(part, head, used, self._taken(part.tenant, part.creations))
        if answer is not None or journal is None:
            return answer or Refused(SessionNotFound(part.journal_id))
        journal.write(part)
        for digest, body in part.blobs.items():
            self._blobs.setdefault((part.tenant, digest), body)
        for new in part.creations:
            self._bear(new)
        for row in part.outbox:
            self._post(part.tenant, part.journal_id, row)
        return Appended(journal.head.seq)

    def _post(self, tenant: str, journal_id: str, row: OutboxRow) -> None:
        self._hand(Letter(tenant, journal_id, row.seq, row.body), (row.target_journal_id, *row.heirs))
        receiver = self._journals.get((tenant, row.target_journal_id))
        if receiver is not None:
            receiver.blobs.update(row.blobs)

    def _hand(self, letter: Letter, receivers: Sequence[str]) -> None:
        """Leave a message for the first of these that is there; for the first when none is."""
        living = (one for one in receivers if (letter.tenant, one) in self._journals)
        waiting = self._letters.setdefault((letter.tenant, next(living, receivers[0])), {})
        waiting[letter.journal_id, letter.seq] = letter

    def _erase(self, journal: Journal) -> None:
        tenant, journal_id = journal.row.tenant, journal.row.journal_id
        del self._journals[tenant, journal_id]
        del self._by_key[tenant, session_key(journal.row.session_id)]
        heirs = heirs_of(journal.row)
        for letter in self._letters.pop((tenant, journal_id), {}).values():
            taken = letter_id(letter.journal_id, letter.seq) in journal.claims
            if heirs and not taken and is_heritable(letter.body):
                self._hand(letter, heirs)
        for row in last_messages(journal.row):
            self._post(tenant, journal_id, row)
        held = {digest for (of, _), other in self._journals.items() if of == tenant for digest in other.holds}
        for digest in journal.holds - held:
            self._blobs.pop((tenant, digest), None)

    def _bear(self, new: NewSession) -> None:
        journal = Journal(new, self._sources(new))
        self._journals[new.row.tenant, new.row.journal_id] = journal
        self._by_key[new.row.tenant, session_key(new.row.session_id)] = journal
        for digest, body in new.blobs.items():
            self._blobs.setdefault((new.row.tenant, digest), body)

    def _sources(self, new: NewSession) -> list[tuple[Journal, int]]:
        if new.origin is None:
            return []
        base = self._journals[new.row.tenant, new.origin.journal_id]
        known = {source.row.journal_id: source for source, _ in base.sources} | {new.origin.journal_id: base}
        before = [Segment(source.row.journal_id, upto) for source, upto in base.sources]
        return [(known[one.source], one.upto) for one in shared(before, new.origin)]

    def _head(self, tenant: str, journal_id: str) -> int | None:
        journal = self._journals.get((tenant, journal_id))
        return None if journal is None else journal.head.seq

    def _first_answer(self, tenant: str, command_id: str, digest: str) -> bool | None:
        command = self._commands.get((tenant, command_id))
        if command is None:
            return None
        if command.digest != digest:
            raise CommandConflict(command_id)
        return command.outcome

    def _existing(self, tenant: str, journal_id: str) -> Journal:
        journal = self._journals.get((tenant, journal_id))
        if journal is None:
            raise SessionNotFound(journal_id)
        return journal
