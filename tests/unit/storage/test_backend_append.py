"""What every backend promises of epochs and appends, asked of both through the protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.domain.journal import Acquired, Appended, Filter, FirstOutcome
from actors.errors import (
    CommandConflict,
    Fenced,
    InternalError,
    InvalidRequest,
    SessionNotFound,
    Superseded,
)
from actors.storage.backend import Backend
from tests.unit.storage.samples import (
    TENANT,
    at,
    born,
    info,
    journal,
    new,
    part,
    record,
    refusal,
)

# --- acquire -------------------------------------------------------------------------------------------------------


def test_each_acquisition_gets_a_higher_epoch_and_the_head(backend: Backend) -> None:
    backend.create(TENANT, "c1", "d", [new("s")])

    assert backend.acquire(TENANT, journal("s"), 0, 1) == Acquired(1, 1)
    assert backend.acquire(TENANT, journal("s"), 0, 1) == Acquired(2, 1)
    row = backend.row(TENANT, journal("s"))
    assert row is not None
    assert (row.epoch, row.head_seq) == (2, 1)


def test_an_older_assignment_and_an_older_term_are_fenced(backend: Backend) -> None:
    backend.create(TENANT, "c1", "d", [new("s")])
    first, second = backend.next_term(), backend.next_term()
    backend.acquire(TENANT, journal("s"), second, 7)

    with pytest.raises(Fenced):
        backend.acquire(TENANT, journal("s"), second, 6)
    with pytest.raises(Superseded):
        backend.acquire(TENANT, journal("s"), first, 8)
    third = backend.next_term()
    assert third > second > first
    assert backend.acquire(TENANT, journal("s"), third, 1).epoch == 2


def test_an_unknown_journal_cannot_be_acquired(backend: Backend) -> None:
    with pytest.raises(SessionNotFound):
        backend.acquire(TENANT, "J-none", 0, 1)
    backend.create(TENANT, "c1", "d", [new("s")])
    with pytest.raises(SessionNotFound):
        backend.acquire("other", journal("s"), 0, 1)


# --- append --------------------------------------------------------------------------------------------------------


def test_an_append_moves_the_head_and_replaces_the_projection(backend: Backend) -> None:
    born(backend, "s")
    row: dict[str, Any] = {"name": "title", "activity": "running", "turns": 1, "updated_at": at(5), "cost_usd": "0.10"}

    assert backend.append([part("s", 1, row=row)]) == [Appended(3)]

    assert backend.row(TENANT, journal("s")) == info("s", head_seq=3, epoch=1, **row)
    assert [one.seq for one in backend.records(TENANT, journal("s"))] == [1, 2, 3]


def test_each_part_succeeds_or_is_refused_by_itself(backend: Backend) -> None:
    born(backend, "a", "b", "c")

    answers = backend.append([part("a", 1), part("b", 9), part("c", 1, epoch=0), part("none", 1), part("c", 1)])

    assert (answers[0], answers[4]) == (Appended(3), Appended(3))
    kinds = [type(refusal(answer)) for answer in answers[1:4]]
    assert kinds == [InternalError, Fenced, SessionNotFound]
    assert len(backend.records(TENANT, journal("b"))) == 1


def test_a_retry_of_the_last_batch_is_answered_and_not_written_again(backend: Backend) -> None:
    born(backend, "s")
    first = part("s", 1, command="c")
    backend.append([first])

    assert backend.append([first]) == [Appended(3, replayed=True)]
    assert backend.append([first, part("s", 3), first])[:2] == [Appended(3, replayed=True), Appended(5)]
    assert [one.seq for one in backend.records(TENANT, journal("s"))] == [1, 2, 3, 4, 5]


def test_a_retry_is_answered_even_when_a_newer_epoch_has_begun(backend: Backend) -> None:
    born(backend, "s")
    first = part("s", 1)
    backend.append([first])
    backend.acquire(TENANT, journal("s"), 0, 2)

    assert backend.append([first]) == [Appended(3, replayed=True)]
    assert isinstance(refusal(backend.append([part("s", 3)])[0]), Fenced)


def test_of_two_parts_for_one_place_the_first_wins(backend: Backend) -> None:
    born(backend, "s")

    answers = backend.append([part("s", 1, batch="b1"), part("s", 1, batch="b2"), part("s", 3)])

    assert (answers[0], answers[2]) == (Appended(3), Appended(5))
    assert isinstance(refusal(answers[1]), InternalError)


def test_a_used_cause_refuses_a_new_command_and_nothing_else(backend: Backend) -> None:
    born(backend, "s", "t")
    backend.append([part("s", 1, 3, command="c")])

    conflict = refusal(backend.append([part("s", 4, command="c")])[0])
    assert isinstance(conflict, CommandConflict)
    assert conflict.command_id == "c"
    assert backend.append([part("t", 1, command="c")]) == [Appended(3)]
    follow_up = replace(part("s", 4, 1), records=(record(5, cause="c"),))
    assert backend.append([follow_up]) == [Appended(5)]
    assert backend.first_outcome(TENANT, journal("s"), "c") == FirstOutcome(2, "dg", "user.message")
    assert backend.first_outcome(TENANT, journal("s"), "none") is None


def test_two_records_of_one_part_cannot_claim_the_same_command(backend: Backend) -> None:
    born(backend, "s")
    doubled = replace(part("s", 1), records=tuple(record(seq, cause="c", digest="d") for seq in (2, 3)))

    assert isinstance(refusal(backend.append([doubled])[0]), CommandConflict)


def test_many_claims_in_one_append_are_kept_apart_by_journal(backend: Backend) -> None:
    sessions = [f"s{number}" for number in range(40)]
    born(backend, *sessions)
    backend.append([part("s0", 1, command="c-1")])

    answers = backend.append([part(one, 3 if one == "s0" else 1, command=f"c-{one[1:]}") for one in sessions])
    again = backend.append([part(one, 5 if one == "s0" else 3, command="c-1") for one in sessions])

    assert all(isinstance(answer, Appended) for answer in answers)
    assert [place for place, answer in enumerate(again) if not isinstance(answer, Appended)] == [0, 1]


def test_children_are_born_in_their_parents_append(backend: Backend) -> None:
    born(backend, "s")
    child = new("kid", parent_id="s", parent_journal_id=journal("s"))

    assert backend.append([part("s", 1, creations=(child,))]) == [Appended(3)]

    assert backend.find(TENANT, "kid") == child.row
    assert backend.rows(TENANT, Filter(parent_journal_id=journal("s"))) == ((child.row,), None)
    assert [row.session_id for row in backend.rows(TENANT, Filter(roots_only=True))[0]] == ["s"]


def test_a_child_whose_id_is_in_use_refuses_its_parents_part_alone(backend: Backend) -> None:
    born(backend, "s", "t", "Kid")

    answers = backend.append(
        [
            part("s", 1, creations=(new("kid"),)),
            part("t", 1, creations=(new("x"),)),
            part("s", 1, creations=(new("X"),)),
        ]
    )

    assert [type(answer) for answer in answers].count(Appended) == 1
    assert refusal(answers[0]).args == (("kid",),)
    assert refusal(answers[2]).args == (("X",),)
    assert len(backend.records(TENANT, journal("s"))) == 1


def test_a_part_that_contradicts_itself_is_refused(backend: Backend) -> None:
    born(backend, "s", "t")
    whole = part("s", 1)
    wrong = [
        replace(whole, records=(record(2), record(4))),
        replace(whole, row=info("t")),
        replace(whole, creations=(new("kid", tenant="other"),)),
        replace(whole, records=(replace(record(2), body=b"x" * (256 * 1024 + 1)),)),
    ]

    kinds = [type(refusal(answer)) for answer in backend.append(wrong)]

    assert kinds == [InternalError, InternalError, InternalError, InvalidRequest]
    assert len(backend.records(TENANT, journal("s"))) == 1


def test_an_append_without_records_changes_the_row_only(backend: Backend) -> None:
    born(backend, "s")

    assert backend.append([part("s", 1, 0, row={"name": "x"})]) == [Appended(1)]

    row = backend.row(TENANT, journal("s"))
    assert row is not None
    assert (row.name, row.head_seq) == ("x", 1)


def test_what_identifies_a_session_never_changes(backend: Backend) -> None:
    born(backend, "s")
    before = backend.row(TENANT, journal("s"))
    assert before is not None

    backend.append([part("s", 1, row={"created_at": at(9), "parent_id": "x", "root_journal_id": "y"})])

    assert backend.row(TENANT, journal("s")) == before.model_copy(update={"head_seq": 3})


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)
def test_a_number_beyond_64_bits_is_the_fault_of_who_gives_it_and_not_of_the_store(backend: Backend) -> None:
    born(backend, "s")

    with pytest.raises(InvalidRequest, match="64 bits"):
        backend.append([part("s", 1, row={"messages": 2**63})])

    assert backend.append([part("s", 1)]) == [Appended(3)]
