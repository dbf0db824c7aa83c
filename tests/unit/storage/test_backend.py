"""What every backend promises, asked of both through the protocol."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from actors.domain.actions import Resolution
from actors.domain.ids import utc_now
from actors.domain.journal import Acquired, Appended, Filter, FirstOutcome, NewSession, Snapshot, StoredResult
from actors.domain.session import SessionState
from actors.errors import (
    CommandConflict,
    Fenced,
    InternalError,
    InvalidRequest,
    SessionExists,
    SessionNotFound,
)
from actors.storage.backend import Backend
from tests.unit.storage.samples import (
    TENANT,
    action,
    at,
    born,
    full_info,
    info,
    journal,
    new,
    outbox,
    part,
    record,
    refusal,
)

# --- create and destroy --------------------------------------------------------------------------------------------


def test_a_created_session_is_found_by_both_of_its_ids(backend: Backend) -> None:
    row = full_info("s")
    backend.create(TENANT, "c1", "d", [NewSession(row, record(1, epoch=0))])

    assert backend.find(TENANT, "s") == row
    assert backend.row(TENANT, journal("s")) == row
    assert backend.records(TENANT, journal("s")) == (record(1, epoch=0),)


def test_create_is_all_or_none_and_lists_every_id_in_use(backend: Backend) -> None:
    born(backend, "One", "two")

    with pytest.raises(SessionExists) as caught:
        backend.create(TENANT, "c2", "d", [new("oNE"), new("free"), new("two"), new("Free")])

    assert caught.value.session_ids == ("oNE", "two", "Free")
    assert backend.find(TENANT, "free") is None
    assert backend.create(TENANT, "c2", "d", [new("free")])


def test_ten_thousand_sessions_are_created_in_one_command(backend: Backend) -> None:
    sessions = [new(f"s{number}") for number in range(10_000)]

    assert backend.create(TENANT, "bulk", "d", sessions)

    assert backend.count(TENANT, Filter()) == 10_000
    with pytest.raises(SessionExists) as caught:
        backend.create(TENANT, "again", "d", sessions)
    assert len(caught.value.session_ids) == 10_000


def test_the_same_create_again_changes_nothing_and_another_one_conflicts(backend: Backend) -> None:
    assert backend.create(TENANT, "c1", "d", [new("s")])

    assert not backend.create(TENANT, "c1", "d", [new("s")])
    with pytest.raises(CommandConflict):
        backend.create(TENANT, "c1", "other", [new("s2")])
    assert backend.create("other", "c1", "other", [new("s2", tenant="other")])


def test_a_session_is_looked_up_exactly_as_it_was_named(backend: Backend) -> None:
    born(backend, "Name")

    assert backend.find(TENANT, "name") is None
    assert backend.find(TENANT, "Name") is not None


def test_a_destroyed_session_leaves_nothing_and_its_id_is_free(backend: Backend) -> None:
    born(backend, "s")
    backend.append([part("s", 1, actions=(action("a"),), outbox=(outbox(2),), blobs={"ff": b"x"}, command="c")])
    backend.put_result(TENANT, journal("s"), StoredResult("call", 1, b"r"))
    backend.put_snapshot(TENANT, journal("s"), Snapshot(3, 1, 1, b"{}"))

    assert backend.destroy(TENANT, journal("s"), "d1", "d")

    assert backend.find(TENANT, "s") is None
    assert backend.actions(TENANT) == ((), None)
    assert backend.results(TENANT, journal("s")) == ()
    assert backend.snapshot(TENANT, journal("s")) is None
    assert backend.outbox(TENANT, journal("s")) == ()
    assert backend.first_outcome(TENANT, journal("s"), "c") is None
    with pytest.raises(SessionNotFound):
        backend.records(TENANT, journal("s"))
    assert isinstance(refusal(backend.append([part("s", 3)])[0]), SessionNotFound)
    assert backend.create(TENANT, "c2", "d", [new("s", journal_id="J-second")])


def test_destroy_gives_the_same_command_its_first_answer(backend: Backend) -> None:
    born(backend, "s")

    assert backend.destroy(TENANT, journal("s"), "d1", "d")
    assert backend.destroy(TENANT, journal("s"), "d1", "d")
    assert not backend.destroy(TENANT, journal("s"), "d2", "d")
    with pytest.raises(CommandConflict):
        backend.destroy(TENANT, journal("s"), "d1", "other")


def test_command_ids_are_kept_for_a_day_also_after_destroy(backend: Backend) -> None:
    born(backend, "s")
    backend.destroy(TENANT, journal("s"), "d1", "d")

    assert backend.purge(utc_now() + timedelta(hours=23)) == 0
    assert not backend.create(TENANT, "create-s", "d", [new("s")])
    assert backend.purge(utc_now() + timedelta(hours=25)) == 2
    assert backend.create(TENANT, "create-s", "d", [new("s")])


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
    with pytest.raises(Fenced):
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
    row = {"name": "title", "activity": "running", "turns": 1, "updated_at": at(5), "cost_usd": "0.10"}

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


# --- tenants, listings, pages --------------------------------------------------------------------------------------


def test_tenants_do_not_see_each_other(backend: Backend) -> None:
    born(backend, "s")
    born(backend, "s", tenant="other")
    backend.append([part("s", 1, tenant="other", actions=(action("a"),), blobs={"ff": b"x"})])

    assert len(backend.records(TENANT, journal("s"))) == 1
    assert len(backend.records("other", journal("s"))) == 3
    assert backend.actions(TENANT) == ((), None)
    assert backend.blobs(TENANT, ["ff"]) == {}
    assert backend.destroy("other", journal("s"), "d", "d")
    assert backend.find(TENANT, "s") is not None


def test_listings_show_the_newest_first_and_go_on_behind_the_cursor(backend: Backend) -> None:
    born(backend, *"abcde")
    for place, name in enumerate("badce"):
        backend.append([part(name, 1, row={"updated_at": at(min(place, 3))})])

    first, cursor = backend.rows(TENANT, Filter(), limit=2)
    second, more = backend.rows(TENANT, Filter(), after=cursor, limit=2)
    third, end = backend.rows(TENANT, Filter(), after=more, limit=2)

    assert "".join(row.session_id for row in (*first, *second, *third)) == "ecdab"
    assert end is None


@pytest.mark.parametrize("cursor", ["", "x", "1~", "~a", "12", "1e5~a", "9" * 30 + "~a"])
def test_a_cursor_that_no_listing_gave_is_refused(backend: Backend, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        backend.rows(TENANT, Filter(), after=cursor)
    with pytest.raises(InvalidRequest):
        backend.actions(TENANT, after=cursor)


def test_filters_select_by_state_activity_and_part_of_the_name(backend: Backend) -> None:
    born(backend, "a", "b", "c")
    backend.append([part("a", 1, row={"name": "50%_off Straße", "activity": "running"})])
    backend.append([part("b", 1, row={"name": "50 off", "state": "paused"})])

    def listed(wanted: Filter) -> list[str]:
        rows, _ = backend.rows(TENANT, wanted)
        assert backend.count(TENANT, wanted) == len(rows)
        return sorted(row.session_id for row in rows)

    assert listed(Filter(state="paused")) == ["b"]
    assert listed(Filter(activity="running")) == ["a"]
    assert listed(Filter(name_contains="%_OFF")) == ["a"]
    assert listed(Filter(name_contains="STRASSE")) == ["a"]
    assert listed(Filter(name_contains="OFF")) == ["a", "b"]
    assert listed(Filter(state="active", activity="idle")) == ["c"]


def test_records_come_in_pages_bounded_by_number_and_by_bytes(backend: Backend) -> None:
    born(backend, "s")
    large = tuple(replace(record(seq), body=b"x" * 200_000) for seq in range(2, 52))
    backend.append([replace(part("s", 1, 50), records=large)])

    assert [one.seq for one in backend.records(TENANT, journal("s"), after=3, limit=2)] == [4, 5]
    page = backend.records(TENANT, journal("s"))
    assert page[-1].seq < 51
    assert 4 * 1024 * 1024 <= sum(len(one.body) for one in page) < 5 * 1024 * 1024
    assert backend.records(TENANT, journal("s"), after=51) == ()


def test_actions_are_listed_by_age_until_they_are_resolved(backend: Backend) -> None:
    born(backend, "s", "t")
    backend.append([part("s", 1, actions=(action("a2", 2), action("a1", 1))), part("t", 1, actions=(action("a0", 0),))])

    page, cursor = backend.actions(TENANT, limit=2)
    rest, end = backend.actions(TENANT, limit=2, after=cursor)
    assert [one.action_id for one in (*page, *rest)] == ["a0", "a1", "a2"]
    assert end is None
    assert page[1] == action("a1", 1)

    backend.append([part("s", 3, actions=(action("a1", 1, Resolution.approve),))])
    assert [one.action_id for one in backend.actions(TENANT, journal_id=journal("s"))[0]] == ["a2"]
    both, _ = backend.actions(TENANT, journal_id=journal("s"), pending=False)
    assert both == (action("a1", 1, Resolution.approve), action("a2", 2))


# --- snapshots, blobs, results, outbox -----------------------------------------------------------------------------


def test_a_snapshot_never_replaces_a_higher_one_and_is_refused_when_fenced(backend: Backend) -> None:
    born(backend, "s")
    backend.append([part("s", 1, 5)])

    assert backend.put_snapshot(TENANT, journal("s"), Snapshot(4, 1, 1, b"four"))
    assert not backend.put_snapshot(TENANT, journal("s"), Snapshot(3, 1, 1, b"three"))
    assert not backend.put_snapshot(TENANT, journal("s"), Snapshot(5, 1, 0, b"fenced"))
    assert not backend.put_snapshot(TENANT, journal("s"), Snapshot(7, 1, 1, b"beyond the head"))
    assert not backend.put_snapshot(TENANT, "J-none", Snapshot(1, 1, 1, b""))
    assert backend.snapshot(TENANT, journal("s")) == Snapshot(4, 1, 1, b"four")
    assert backend.snapshot(TENANT, journal("s"), upto=3) is None
    assert backend.put_snapshot(TENANT, journal("s"), Snapshot(6, 2, 1, b"six"))
    assert backend.snapshot(TENANT, journal("s"), upto=6) == Snapshot(6, 2, 1, b"six")


def test_blobs_live_as_long_as_a_journal_holds_them(backend: Backend) -> None:
    born(backend, "s", "t")
    backend.append([part("s", 1, blobs={"aa": b"first", "bb": b"\x00\xff"}), part("t", 1, blobs={"aa": b"second"})])

    assert backend.blobs(TENANT, ["aa", "bb", "cc"]) == {"aa": b"first", "bb": b"\x00\xff"}
    backend.destroy(TENANT, journal("s"), "d1", "d")
    assert backend.purge(utc_now()) == 1
    assert backend.blobs(TENANT, ["aa", "bb"]) == {"aa": b"first"}
    backend.destroy(TENANT, journal("t"), "d2", "d")
    assert backend.purge(utc_now()) == 1
    assert backend.blobs(TENANT, ["aa"]) == {}


def test_the_first_outcome_of_an_attempt_is_kept(backend: Backend) -> None:
    born(backend, "s")
    for attempt, outcome in ((2, b"two"), (1, b"one"), (1, b"other")):
        backend.put_result(TENANT, journal("s"), StoredResult("call", attempt, outcome))
    backend.put_result(TENANT, "J-none", StoredResult("call", 1, b"ignored"))

    expected = (StoredResult("call", 1, b"one"), StoredResult("call", 2, b"two"))
    assert backend.results(TENANT, journal("s")) == expected
    assert backend.results(TENANT, "J-none") == ()


def test_outbox_rows_wait_until_they_are_delivered(backend: Backend) -> None:
    born(backend, "s")
    backend.append([part("s", 1, outbox=(outbox(3), outbox(2)))])

    assert backend.outbox(TENANT, journal("s")) == (outbox(2), outbox(3))
    assert [row.session_id for row in backend.due(at(0))] == ["s"]
    backend.delivered(TENANT, journal("s"), [2, 9])
    assert backend.outbox(TENANT, journal("s")) == (outbox(3),)
    backend.delivered(TENANT, journal("s"), [3])
    assert backend.due(at(0)) == ()


def test_due_finds_work_timers_and_messages_of_all_tenants(backend: Backend) -> None:
    born(backend, "running", "timer", "later", "paused", "idle")
    born(backend, "queued", tenant="other")
    backend.append(
        [
            part("running", 1, row={"activity": "running"}),
            part("timer", 1, row={"wake_at": at(10)}),
            part("later", 1, row={"wake_at": at(10.000001)}),
            part("paused", 1, row={"activity": "running", "state": "paused", "wake_at": at(1)}),
            part("queued", 1, row={"activity": "queued", "queued": 1}, tenant="other"),
        ]
    )

    assert sorted(row.session_id for row in backend.due(at(10))) == ["queued", "running", "timer"]
    assert len(backend.due(at(10), limit=2)) == 2
    assert backend.next_wake() == at(10)
    backend.append([part(one, 3, row={"wake_at": None}) for one in ("timer", "later")])
    assert backend.next_wake() is None


def test_a_row_reads_back_exactly_as_it_was_written(backend: Backend) -> None:
    backend.create(TENANT, "c", "d", [NewSession(full_info("s"), record(1, epoch=0))])
    backend.acquire(TENANT, journal("s"), 0, 1)
    row = full_info("s").model_copy(update={"head_seq": 3, "epoch": 1, "state": SessionState.paused, "wake_at": None})

    backend.append([replace(part("s", 1), row=row)])

    assert backend.row(TENANT, journal("s")) == row


def test_a_healthy_store_says_so_and_counts_what_it_has(backend: Backend) -> None:
    born(backend, "s", "t")
    backend.append([part("s", 1)])

    backend.health()
    stats = backend.stats()
    assert (stats["sessions"], stats["records"]) == (2, 4)
    assert stats["bytes"] > 0
    assert stats["store_id"] == backend.identity.store_id
