"""Forks in a store: they read what they share, and nobody's end takes it from anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from actors.domain.journal import NewSession, Origin, Snapshot, StoredRecord
from actors.errors import InternalError, SessionExists, SessionNotFound
from actors.storage import rules, sql_retention
from actors.storage.backend import Backend
from actors.storage.rules import Segment, shared
from tests.unit.storage.samples import START, TENANT, info, journal, record

LATER = START + timedelta(days=1)
BODY = b"large"


def own(session_id: str, first: int, last: int) -> tuple[StoredRecord, ...]:
    """Records whose bodies say whose they are."""
    made = (record(seq) for seq in range(first, last + 1))
    return tuple(
        StoredRecord(one.seq, one.type, one.at, one.epoch, f"{session_id}:{one.seq}".encode(), f"{session_id}-cause")
        for one in made
    )


def begin(
    backend: Backend,
    session_id: str,
    last: int,
    *,
    of: str | None = None,
    upto: int = 0,
    blobs: Mapping[str, bytes] | None = None,
) -> None:
    origin = Origin(journal(of), upto) if of else None
    row = info(session_id, head_seq=last)
    new = NewSession(row, own(session_id, upto + 1, last), blobs or {}, origin)
    assert backend.create(TENANT, f"create {session_id}", "d", [new])


def end(backend: Backend, session_id: str) -> None:
    assert backend.destroy(TENANT, journal(session_id), f"destroy {session_id}", "d")
    while backend.purge(START):
        pass


def read(backend: Backend, session_id: str, *, page: int = 1000) -> list[str]:
    found: list[str] = []
    while got := backend.records(TENANT, journal(session_id), after=len(found), limit=page):
        found += [one.body.decode() for one in got]
    return found


def said(*parts: tuple[str, int, int]) -> list[str]:
    return [f"{who}:{seq}" for who, first, last in parts for seq in range(first, last + 1)]


@pytest.fixture
def family(backend: Backend) -> Backend:
    """``a`` of 6 records, ``b`` of it behind 4, ``c`` of ``b`` behind 5, ``d`` of ``b`` behind 2."""
    begin(backend, "a", 6, blobs={"digest": BODY})
    begin(backend, "b", 7, of="a", upto=4)
    begin(backend, "c", 6, of="b", upto=5)
    begin(backend, "d", 3, of="b", upto=2)
    return backend


FAMILY = {
    "a": said(("a", 1, 6)),
    "b": said(("a", 1, 4), ("b", 5, 7)),
    "c": said(("a", 1, 4), ("b", 5, 5), ("c", 6, 6)),
    "d": said(("a", 1, 2), ("d", 3, 3)),
}


@pytest.mark.parametrize("page", [1, 2, 3, 4, 1000])
def test_forks_read_what_they_share_in_pages_of_any_size(family: Backend, page: int) -> None:
    for name, records in FAMILY.items():
        assert read(family, name, page=page) == records


def test_a_page_of_a_fork_ends_at_the_limit_of_bytes(family: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FAMILY["c"]
    monkeypatch.setattr(rules.within, "__defaults__", (8,))

    assert [one.body.decode() for one in family.records(TENANT, journal("c"))] == whole[:3]
    assert read(family, "c") == whole


@pytest.mark.parametrize("order", ["abcd", "dcba", "bacd", "bdac", "cabd", "acdb"])
def test_whoever_goes_first_the_others_keep_all_they_have(family: Backend, order: str) -> None:
    left = dict(FAMILY)
    for gone in order:
        end(family, gone)
        del left[gone]

        with pytest.raises(SessionNotFound):
            family.records(TENANT, journal(gone))
        assert {name: read(family, name) for name in left} == left
        assert family.blobs(TENANT, ["digest"]) == ({"digest": BODY} if left else {})


def test_a_long_journal_is_removed_a_little_at_a_time_but_for_what_is_shared(
    family: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_retention, "AT_ONCE", 1)

    for gone in "ab":
        assert family.destroy(TENANT, journal(gone), f"destroy {gone}", "d")
        while family.purge(START, limit=1):
            assert read(family, "c") == FAMILY["c"]

    assert read(family, "d") == FAMILY["d"]


def test_commands_of_the_source_are_not_those_of_the_fork(family: Backend) -> None:
    assert family.first_outcome(TENANT, journal("b"), "a-cause") is None


def test_a_fork_is_folded_from_the_nearest_snapshot_of_its_own_past(family: Backend) -> None:
    row = family.row(TENANT, journal("a"))
    assert row is not None
    assert family.put_snapshot(TENANT, journal("a"), Snapshot(4, 1, row.epoch, b"{}"))

    found = {name: family.snapshot(TENANT, journal(name)) for name in "abcd"}

    assert {name: one.seq if one else None for name, one in found.items()} == {"a": 4, "b": 4, "c": 4, "d": None}
    assert family.snapshot(TENANT, journal("c"), upto=3) is None


@pytest.mark.parametrize(("of", "upto", "error"), [("nobody", 1, SessionNotFound), ("a", 7, InternalError)])
def test_a_fork_of_what_is_not_there_is_refused(family: Backend, of: str, upto: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        begin(family, "e", upto + 1, of=of, upto=upto)

    assert family.find(TENANT, "e") is None


def test_an_id_in_use_is_refused_and_a_command_that_is_given_again_forks_once(family: Backend) -> None:
    again = NewSession(info("b", head_seq=7), own("b", 5, 7), origin=Origin(journal("a"), 4))

    assert not family.create(TENANT, "create b", "d", [again])
    with pytest.raises(SessionExists):
        family.create(TENANT, "other", "d", [again])


def test_what_is_shared_is_told_from_what_the_source_shares_itself() -> None:
    before = [Segment("a", 4), Segment("b", 9)]

    assert shared([], Origin("c", 3)) == [Segment("c", 3)]
    assert shared(before, Origin("c", 12)) == [*before, Segment("c", 12)]
    assert shared(before, Origin("c", 9)) == before
    assert shared(before, Origin("c", 5)) == [Segment("a", 4), Segment("b", 5)]
    assert shared(before, Origin("c", 2)) == [Segment("a", 2)]
