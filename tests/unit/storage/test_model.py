"""Any sequence of protocol steps, against a model that is a few lines long.

Two writers take turns at three sessions: each believes what it last heard, so stale epochs, wrong places and retries of
old batches come up by themselves. Sessions are forked at any place, destroyed and purged in any order, and what is left
of a family has all that it had.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.domain.journal import Appended, AppendPart, NewSession, Origin, Refused, Snapshot, StoredRecord
from actors.errors import (
    CommandConflict,
    Fenced,
    InternalError,
    SessionExists,
    SessionNotFound,
)
from actors.storage import sql_retention, sqlite_database
from actors.storage.backend import Backend
from actors.storage.open import open_backend
from tests.postgres import PostgresServer
from tests.unit.storage.samples import START, TENANT, info, journal, part, record

SLOTS = "abc"
"""Places for sessions; each session that takes one has an id, and so a journal, of its own."""

SESSIONS = st.sampled_from(SLOTS)
WRITERS = st.sampled_from([0, 1])


@dataclass
class ModelJournal:
    """What a journal must be. ``owners``: for each record, whose own it is: each has brought a blob."""

    epoch: int = 0
    records: list[StoredRecord] = field(default_factory=list[StoredRecord])
    owners: list[str] = field(default_factory=list[str])
    claims: set[str] = field(default_factory=set[str])
    last: AppendPart | None = None
    snapshot: Snapshot | None = None

    @property
    def head(self) -> int:
        return len(self.records)

    def folded(self, seq: int) -> bytes:
        """What stands for the fold of the records up to there."""
        return b" ".join(one.body for one in self.records[:seq])


class Protocol(RuleBasedStateMachine):
    """One store, two writers."""

    url = "memory:"

    @initialize()
    def begin(self) -> None:
        self.backend: Backend = self.opened()
        self.names = {slot: f"{slot}0" for slot in SLOTS}
        self.journals: dict[str, ModelJournal] = {}
        self.epochs: dict[tuple[int, str], int] = {}
        self.sent: list[AppendPart] = []
        self.counter = 0
        self.grow("a", 0, 3)

    def opened(self) -> Backend:
        return open_backend(self.url)

    def unique(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    def named(self, slot: str) -> str:
        """The session of a slot, or the last that it had."""
        return self.names[slot]

    @rule(slot=SESSIONS)
    def create(self, slot: str) -> None:
        self.bear(slot, None, 0)

    @rule(source=SESSIONS, slot=SESSIONS, data=st.data())
    def fork(self, source: str, slot: str, data: st.DataObject) -> None:
        model = self.journals.get(self.named(source))
        upto = data.draw(st.integers(1, model.head)) if model is not None else 1
        self.bear(slot, self.named(source), upto)

    def bear(self, slot: str, source: str | None, upto: int) -> None:
        lives = self.named(slot) in self.journals
        name = self.named(slot) if lives else self.unique(slot)
        command = self.unique("create")
        own = replace(record(upto + 1, epoch=0), body=f"{name}:{upto + 1}".encode())
        origin = Origin(journal(source), upto) if source is not None else None
        born = NewSession(info(name, head_seq=upto + 1), (own,), {name: name.encode()}, origin)
        if lives or (source is not None and source not in self.journals):
            error = SessionExists if lives else SessionNotFound
            with_error(error, lambda: self.backend.create(TENANT, command, "d", [born]))
            return
        before = self.journals[source] if source is not None else ModelJournal()
        assert self.backend.create(TENANT, command, "d", [born])
        assert not self.backend.create(TENANT, command, "d", [born])
        self.names[slot] = name
        self.journals[name] = ModelJournal(records=[*before.records[:upto], own], owners=[*before.owners[:upto], name])

    @rule(slot=SESSIONS, writer=WRITERS)
    def acquire(self, slot: str, writer: int) -> None:
        name = self.named(slot)
        if name not in self.journals:
            with_error(SessionNotFound, lambda: self.backend.acquire(TENANT, journal(name), 0, 1))
            return
        model = self.journals[name]
        got = self.backend.acquire(TENANT, journal(name), 0, 1)
        assert (got.epoch, got.head_seq) == (model.epoch + 1, model.head)
        model.epoch = self.epochs[writer, name] = got.epoch

    @rule(
        steps=st.lists(
            st.tuples(SESSIONS, WRITERS, st.integers(-1, 1), st.integers(0, 3), st.sampled_from([None, "x", "y"])),
            min_size=1,
            max_size=4,
        )
    )
    def append(self, steps: list[tuple[str, int, int, int, str | None]]) -> None:
        parts = [self.planned(self.named(step[0]), *step[1:]) for step in steps]
        self.commit(parts)

    @rule(slot=SESSIONS, writer=WRITERS, count=st.integers(1, 3))
    def grow(self, slot: str, writer: int, count: int) -> None:
        """What nearly always happens: a session that is there gets a writer, which appends."""
        if self.named(slot) not in self.journals:
            self.create(slot)
        self.acquire(slot, writer)
        self.commit([self.planned(self.named(slot), writer, 0, count, None)])

    @precondition(lambda self: bool(self.sent))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.commit([data.draw(st.sampled_from(self.sent[-6:]))])

    @rule(slot=SESSIONS, data=st.data())
    def keep_snapshot(self, slot: str, data: st.DataObject) -> None:
        model = self.journals.get(self.named(slot), ModelJournal())
        seq, epoch = data.draw(st.integers(1, model.head + 1)), data.draw(st.sampled_from([model.epoch, 0]))
        snapshot = Snapshot(seq, 1, epoch, model.folded(seq))
        taken = model.head > 0 and epoch == model.epoch and seq <= model.head
        taken = taken and (model.snapshot is None or model.snapshot.seq <= seq)
        assert self.backend.put_snapshot(TENANT, journal(self.named(slot)), snapshot) == taken
        if taken:
            model.snapshot = snapshot

    @rule(slot=SESSIONS)
    def destroy(self, slot: str) -> None:
        name = self.named(slot)
        command = self.unique("destroy")
        existed = self.journals.pop(name, None) is not None
        assert self.backend.destroy(TENANT, journal(name), command, "d") == existed
        assert self.backend.destroy(TENANT, journal(name), command, "d") == existed

    @rule(slot=SESSIONS)
    def purge_session(self, slot: str) -> None:
        beginnings = self.backend.beginnings(TENANT, journal(self.named(slot)))
        self.destroy(slot)
        for gone in (journal(self.named(slot)), *(one.journal_id for one in beginnings)):
            while self.backend.erase(TENANT, gone, limit=1):
                pass
        if self.named(slot) not in self.needed:
            assert self.backend.blobs(TENANT, [self.named(slot)]) == {}

    @rule(limit=st.sampled_from([1, 1000]))
    def clean_up(self, limit: int) -> None:
        while self.backend.purge(START, limit=limit):
            pass
        brought = [f"{slot}{number}" for slot in SLOTS for number in range(self.counter + 1)]
        assert set(self.backend.blobs(TENANT, brought)) == self.needed

    @property
    def needed(self) -> set[str]:
        """Those of whom a session that lives has records."""
        return {owner for model in self.journals.values() for owner in model.owners}

    @invariant()
    def nothing_that_is_needed_is_gone(self) -> None:
        assert self.needed <= set(self.backend.blobs(TENANT, list(self.needed)))
        for name, model in self.journals.items():
            for upto in (None, 1, model.head // 2 + 1):
                found = self.backend.snapshot(TENANT, journal(name), upto=upto)
                end = model.head if upto is None else upto
                assert found is None or (found.seq <= end and found.body == model.folded(found.seq))
                if model.snapshot is not None and model.snapshot.seq <= end:
                    assert found == model.snapshot

    @invariant()
    def every_journal_is_one_gapless_history(self) -> None:
        for name in self.names.values():
            row = self.backend.row(TENANT, journal(name))
            model = self.journals.get(name)
            if model is None:
                assert row is None
                continue
            records = list(self.backend.records(TENANT, journal(name)))
            assert records == model.records
            assert [record.seq for record in records] == list(range(1, len(records) + 1))
            assert row is not None
            assert (row.head_seq, row.epoch) == (model.head, model.epoch)

    def teardown(self) -> None:
        if hasattr(self, "backend"):
            self.backend.close()

    def planned(self, name: str, writer: int, off: int, count: int, command: str | None) -> AppendPart:
        model = self.journals.get(name, ModelJournal())
        epoch = self.epochs.get((writer, name), 0)
        after = max(model.head + off, 0)
        batch = self.unique("batch")
        made = part(name, after, count, epoch=epoch, batch=batch, command=command if count else None)
        records = [replace(one, body=f"{name}:{one.seq}:{batch}".encode()) for one in made.records]
        return replace(made, records=tuple(records))

    def commit(self, parts: list[AppendPart]) -> None:
        expected = [self.predict(one) for one in parts]
        answers = self.backend.append(parts)
        assert [shape(answer) for answer in answers] == expected
        self.sent += parts

    def predict(self, one: AppendPart) -> Any:
        model = self.journals.get(one.row.session_id)
        if model is None:
            return SessionNotFound
        if model.last is not None and model.last.batch_id == one.batch_id:
            return Appended(model.head, replayed=True)
        if one.epoch != model.epoch:
            return Fenced
        if one.expected_seq != model.head:
            return InternalError
        claims = {record.cause for record in one.records if record.digest and record.cause}
        if claims & model.claims:
            return CommandConflict
        model.records += one.records
        model.owners += [one.row.session_id] * len(one.records)
        model.claims |= claims
        model.last = one
        return Appended(model.head)


def shape(answer: Appended | Refused) -> Any:
    return type(answer.error) if isinstance(answer, Refused) else answer


def with_error(kind: type[Exception], work: Any) -> None:
    try:
        work()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


class DatabaseProtocol(Protocol):
    """The same on a database, which is also closed and opened again, and removes one record at a time."""

    patches: Sequence[Any] = ()

    def opened(self) -> Backend:
        if not self.patches:
            self.patches = self.patched()
            for one in self.patches:
                one.start()
        return open_backend(self.url)

    def patched(self) -> Sequence[Any]:
        return (patch.object(sql_retention, "AT_ONCE", 1),)

    @rule()
    def restart(self) -> None:
        self.backend.close()
        self.backend = self.opened()

    def teardown(self) -> None:
        super().teardown()
        for one in self.patches:
            one.stop()


class SqliteProtocol(DatabaseProtocol):
    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.url = self.directory.name
        super().begin()

    def patched(self) -> Sequence[Any]:
        # What is tested is not what the disk does.
        pragmas = sqlite_database._PRAGMAS  # pyright: ignore[reportPrivateUsage]
        relaxed = tuple(one.replace("synchronous=FULL", "synchronous=OFF") for one in pragmas)
        return (*super().patched(), patch.object(sqlite_database, "_PRAGMAS", relaxed))

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "directory"):
            self.directory.cleanup()


class PostgresProtocol(DatabaseProtocol):
    server: PostgresServer

    @initialize()
    def begin(self) -> None:
        self.url = self.server.url(self.server.fresh())
        super().begin()


TestMemoryProtocol = Protocol.TestCase
TestMemoryProtocol.settings = settings(stateful_step_count=40)

TestSqliteProtocol = SqliteProtocol.TestCase
TestSqliteProtocol.settings = settings(stateful_step_count=40, max_examples=max(settings().max_examples // 3, 1))


class TestPostgresProtocol(PostgresProtocol.TestCase):
    settings = settings(stateful_step_count=40, max_examples=max(settings().max_examples // 20, 1))

    @pytest.fixture(autouse=True)
    def _on_a_server(self, postgres: PostgresServer) -> None:
        PostgresProtocol.server = postgres
