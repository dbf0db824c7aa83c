"""One journal of the memory store: everything that goes when its session is destroyed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from actors.domain.actions import Action
from actors.domain.journal import AppendPart, FirstOutcome, NewSession, Snapshot, StoredRecord, StoredResult
from actors.domain.session import SessionInfo
from actors.storage.rules import Head, within


class Journal:
    """A session's row, records and belongings.

    Args:
        new: The session as it is born.
        sources: Of a fork, the journals that hold its first records, each up to the given one. They stay for as long
            as somebody begins with them, whatever became of their sessions.
    """

    def __init__(self, new: NewSession, sources: Sequence[tuple[Journal, int]] = ()) -> None:
        self.sources = tuple(sources)
        self._first = new.records[0].seq
        self.head = Head(new.row.epoch, new.records[-1].seq)
        self.assignment = (0, 0)
        self.records: list[StoredRecord] = []
        self.claims: dict[str, FirstOutcome] = {}
        self.actions: dict[str, Action] = {}
        self.results: dict[tuple[str, int], StoredResult] = {}
        self.blobs: set[str] = set()
        self.snapshot: Snapshot | None = None
        self._row = new.row
        self.blobs.update(new.blobs)
        self._take(new.records)

    @property
    def row(self) -> SessionInfo:
        """The projection, with the store's own head and epoch in it."""
        return self._row

    def write(self, part: AppendPart) -> None:
        """Carry out an accepted part."""
        self.head = self.head.after(part)
        self._row = _moved(self._row, part.row)
        self._take(part.records)
        self.actions.update((action.action_id, action) for action in part.actions)
        self.blobs.update(part.blobs)
        for call_id, last in part.settled:
            for attempt in range(1, last + 1):
                kept = self.results.get((call_id, attempt))
                if kept is not None and (attempt == last or kept.outcome is None):
                    del self.results[call_id, attempt]
        self._settle_row()

    def keep(self, result: StoredResult) -> None:
        """Take what a host tells of an attempt; the first outcome stays, and the last facts."""
        key = (result.call_id, result.attempt)
        known = self.results.get(key, result)
        outcome = result.outcome if known.outcome is None else known.outcome
        facts = known.facts if result.facts is None else result.facts
        self.results[key] = replace(result, outcome=outcome, facts=facts)

    def acquire(self, term: int, assignment_no: int) -> None:
        """Begin the next epoch."""
        self.head = Head(self.head.epoch + 1, self.head.seq, self.head.batch_id, self.head.batch_from)
        self.assignment = (term, assignment_no)
        self._settle_row()

    def page(self, after: int, limit: int) -> tuple[StoredRecord, ...]:
        """Records behind ``after``, at most ``limit`` and about 4 MiB."""
        records = islice(self._behind(max(after, 0)), limit)
        return tuple(within(records, lambda record: len(record.body)))

    def _behind(self, after: int) -> Iterator[StoredRecord]:
        for source, upto in self.sources:
            while after < upto:
                yield source.records[after + 1 - source._first]
                after += 1
        yield from islice(self.records, after + 1 - self._first, None)

    def nearest(self, upto: int | None) -> Snapshot | None:
        """The newest snapshot with ``seq <= upto``, of the journal or of one that it begins with."""
        for journal, end in ((self, None), *reversed(self.sources)):
            ends = [one for one in (upto, end) if one is not None]
            kept = journal.snapshot
            if kept is not None and all(kept.seq <= one for one in ends):
                return kept
        return None

    @property
    def holds(self) -> set[str]:
        """Digests of the blobs that its records name."""
        return self.blobs.union(*(source.blobs for source, _ in self.sources))

    def _take(self, records: tuple[StoredRecord, ...]) -> None:
        for record in records:
            self.records.append(record)
            if record.cause is not None and record.digest is not None:
                self.claims[record.cause] = FirstOutcome(record.seq, record.digest, record.type)

    def _settle_row(self) -> None:
        self._row = self._row.model_copy(update={"head_seq": self.head.seq, "epoch": self.head.epoch})


def _moved(old: SessionInfo, new: SessionInfo) -> SessionInfo:
    """The new row, but for what never changes in a session's life."""
    fixed = ("session_id", "parent_id", "parent_journal_id", "root_journal_id", "created_at")
    return new.model_copy(update={name: getattr(old, name) for name in fixed})
