"""Any sequence of protocol steps, against a model that is a few lines long.

Two writers take turns at three journals: each believes what it last heard, so stale epochs, wrong places and retries of
old batches come up by themselves.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.domain.journal import Appended, AppendPart, Refused, StoredRecord
from actors.errors import (
    CommandConflict,
    Fenced,
    InternalError,
    SessionExists,
    SessionNotFound,
)
from actors.storage.backend import Backend
from actors.storage.open import open_backend
from tests.unit.storage.samples import TENANT, journal, new, part

SESSIONS = st.sampled_from(["a", "b", "c"])
WRITERS = st.sampled_from([0, 1])


@dataclass
class ModelJournal:
    """What a journal must be."""

    epoch: int = 0
    records: list[StoredRecord] = field(default_factory=list[StoredRecord])
    claims: set[str] = field(default_factory=set[str])
    last: AppendPart | None = None

    @property
    def head(self) -> int:
        return len(self.records)


class Protocol(RuleBasedStateMachine):
    """One store, two writers."""

    url = "memory:"

    @initialize()
    def begin(self) -> None:
        self.backend: Backend = self.opened()
        self.journals: dict[str, ModelJournal] = {}
        self.epochs: dict[tuple[int, str], int] = {}
        self.sent: list[AppendPart] = []
        self.counter = 0

    def opened(self) -> Backend:
        return open_backend(self.url)

    def unique(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter}"

    @rule(name=SESSIONS)
    def create(self, name: str) -> None:
        born = new(name)
        command = self.unique("create")
        if name in self.journals:
            with_error(SessionExists, lambda: self.backend.create(TENANT, command, "d", [born]))
            return
        assert self.backend.create(TENANT, command, "d", [born])
        assert not self.backend.create(TENANT, command, "d", [born])
        self.journals[name] = ModelJournal(records=list(born.records))

    @rule(name=SESSIONS, writer=WRITERS)
    def acquire(self, name: str, writer: int) -> None:
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
        parts = [self.planned(*step) for step in steps]
        self.commit(parts)

    @precondition(lambda self: bool(self.sent))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.commit([data.draw(st.sampled_from(self.sent[-6:]))])

    @rule(name=SESSIONS)
    def destroy(self, name: str) -> None:
        command = self.unique("destroy")
        existed = self.journals.pop(name, None) is not None
        assert self.backend.destroy(TENANT, journal(name), command, "d") == existed
        assert self.backend.destroy(TENANT, journal(name), command, "d") == existed

    @invariant()
    def every_journal_is_one_gapless_history(self) -> None:
        for name in "abc":
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
        return part(name, after, count, epoch=epoch, batch=self.unique("batch"), command=command if count else None)

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


class SqliteProtocol(Protocol):
    """The same on a database, which is also closed and opened again."""

    def opened(self) -> Backend:
        if not hasattr(self, "directory"):
            self.directory = tempfile.TemporaryDirectory()
        return open_backend(self.directory.name)

    @rule()
    def restart(self) -> None:
        self.backend.close()
        self.backend = self.opened()

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "directory"):
            self.directory.cleanup()


TestMemoryProtocol = Protocol.TestCase
TestMemoryProtocol.settings = settings(stateful_step_count=30)

TestSqliteProtocol = SqliteProtocol.TestCase
TestSqliteProtocol.settings = settings(stateful_step_count=30, max_examples=max(settings().max_examples // 3, 1))
