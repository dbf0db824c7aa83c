"""What every backend promises, asked of both through the protocol."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actors.domain.actions import Resolution
from actors.domain.commands import COMMAND, ReportChild
from actors.domain.ids import utc_now
from actors.domain.journal import Appended, Filter, Known, NewSession, Snapshot, StoredResult
from actors.domain.mcp import KnownServer
from actors.domain.session import SessionState
from actors.errors import (
    CommandConflict,
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
    letter,
    new,
    outbox,
    part,
    record,
    refusal,
)

# --- create and destroy --------------------------------------------------------------------------------------------


def test_a_created_session_is_found_by_both_of_its_ids(backend: Backend) -> None:
    row = full_info("s")
    backend.create(TENANT, "c1", "d", [NewSession(row, (record(1, epoch=0),))])

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
    assert [one.action_id for one in backend.actions(TENANT, kind="approval")[0]] == ["a0", "a2"]
    assert backend.actions(TENANT, kind="in_doubt") == ((), None)
    both, _ = backend.actions(TENANT, journal_id=journal("s"), pending=False)
    assert both == (action("a1", 1, Resolution.approve), action("a2", 2))


def test_tenants_are_told_of_whom_somebody_waits_for_a_decision_of_a_kind(backend: Backend) -> None:
    for tenant in ("t3", "t1", "t2", "settled", "none"):
        backend.create(tenant, "c", "d", [new("s", tenant=tenant)])
        backend.acquire(tenant, journal("s"), 1, 1)
        asked = action("a", 1, Resolution.approve if tenant == "settled" else None)
        asking = part("s", 1, tenant=tenant, actions=(asked,) if tenant != "none" else ())
        assert backend.append([asking]) == [Appended(3)]

    assert backend.waiting_tenants("approval") == ("t1", "t2", "t3")
    assert backend.waiting_tenants("approval", after="t1", limit=1) == ("t2",)
    assert backend.waiting_tenants("credential") == ()


def test_sessions_are_known_by_their_names_and_their_parents(backend: Backend) -> None:
    for name, parent in (("Top", None), ("a", "Top"), ("b", "Top"), ("below", "a")):
        row = info(name).model_copy(update={"parent_journal_id": journal(parent) if parent else None})
        backend.create(TENANT, f"of-{name}", "d", [replace(new(name), row=row)])

    assert backend.known(TENANT, "Top") == Known("Top", journal("Top"))
    assert backend.known(TENANT, "top") is backend.known("other", "Top") is None
    assert sorted(backend.below(TENANT, journal("Top"))) == [Known("a", journal("a")), Known("b", journal("b"))]
    assert len(backend.below(TENANT, journal("Top"), limit=1)) == 1
    assert backend.below("other", journal("Top")) == backend.below(TENANT, "J-none") == ()
    assert backend.legible(TENANT, journal("a")) == backend.row(TENANT, journal("a"))
    assert backend.legible("other", journal("a")) is None


def test_actions_of_a_tree_are_those_of_a_session_and_of_all_below_it(backend: Backend) -> None:
    parents = {"top": None, "middle": "top", "low": "middle", "beside": None, "under": "beside"}
    for age, (name, parent) in enumerate(parents.items()):
        row = info(name).model_copy(update={"parent_journal_id": journal(parent) if parent else None})
        backend.create(TENANT, f"of-{name}", "d", [replace(new(name), row=row)])
        backend.acquire(TENANT, journal(name), 1, 1)
        backend.append([replace(part(name, 1, actions=(action(name, age),)), row=row)])

    def listed(name: str, **wanted: Any) -> list[str]:
        found, _ = backend.actions(TENANT, journal_id=journal(name), **wanted)
        return [one.action_id for one in found]

    assert (listed("top", tree=True), listed("top")) == (["top", "middle", "low"], ["top"])
    assert (listed("middle", tree=True), listed("low", tree=True)) == (["middle", "low"], ["low"])
    assert (listed("top", tree=True, action_id="low"), listed("top", tree=True, action_id="under")) == (["low"], [])
    assert (listed("top", tree=True, limit=1), listed("nobody", tree=True)) == (["top"], [])
    backend.destroy(TENANT, journal("middle"), "gone", "d")
    assert (listed("top", tree=True), listed("low", tree=True)) == (["top"], ["low"])


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
    assert backend.blobs(TENANT, ["aa", "bb"]) == {"aa": b"first"}
    backend.destroy(TENANT, journal("t"), "d2", "d")
    assert backend.blobs(TENANT, ["aa"]) == {}


def test_the_first_outcome_of_an_attempt_is_kept(backend: Backend) -> None:
    born(backend, "s")
    for attempt, outcome in ((2, b"two"), (1, b"one"), (1, b"other")):
        backend.put_result(TENANT, journal("s"), StoredResult("call", attempt, outcome))
    backend.put_result(TENANT, "J-none", StoredResult("call", 1, b"ignored"))

    expected = (StoredResult("call", 1, b"one"), StoredResult("call", 2, b"two"))
    assert backend.results(TENANT, journal("s")) == expected
    assert backend.results(TENANT, "J-none") == ()


def test_of_facts_the_last_stay_and_beside_them_the_first_outcome(backend: Backend) -> None:
    born(backend, "s")
    for facts, outcome in ((b"f1", None), (b"f2", None), (None, b"one"), (b"f3", b"two")):
        backend.put_result(TENANT, journal("s"), StoredResult("call", 1, outcome, facts))

    assert backend.results(TENANT, journal("s")) == (StoredResult("call", 1, b"one", b"f3"),)


def test_what_is_kept_of_an_attempt_goes_with_the_append_that_settles_it(backend: Backend) -> None:
    born(backend, "s", "t")
    kept = (
        StoredResult("a", 1, facts=b"f"),
        StoredResult("a", 2, b"two", b"f"),
        StoredResult("a", 3, facts=b"f"),
        StoredResult("a", 4, b"four"),
        StoredResult("b", 1, b"one"),
    )
    for session_id in ("s", "t"):
        for one in kept:
            backend.put_result(TENANT, journal(session_id), one)

    backend.append([part("s", 1, settled=(("a", 3), ("c", 1)))])

    # An outcome of an attempt that was given up is something to be told still.
    assert backend.results(TENANT, journal("s")) == (kept[1], kept[3], kept[4])
    assert backend.results(TENANT, journal("t")) == kept


def test_messages_wait_for_their_receivers_until_they_are_delivered(backend: Backend) -> None:
    born(backend, "s", "r", "other")
    backend.append([part("s", 1, outbox=(outbox(3), outbox(2))), part("r", 1, outbox=(outbox(3, "far"), outbox(2)))])
    mine, far = (TENANT, journal("other")), (TENANT, journal("far"))

    assert backend.receivers() == (far, mine)
    assert backend.receivers(limit=1) == (far,)
    assert backend.receivers(after=far) == (mine,)
    assert backend.letters(*mine) == (letter(2, "r"), letter(2), letter(3))
    assert backend.letters(*mine, limit=2) == (letter(2, "r"), letter(2))
    assert backend.letters("elsewhere", journal("other")) == ()
    assert backend.due(at(0)) == (), "messages are no reason to activate their sender"

    backend.delivered([(TENANT, journal("s"), 2), (TENANT, journal("s"), 9), (TENANT, journal("r"), 2)])
    assert backend.letters(*mine) == (letter(3),)
    backend.delivered([(TENANT, journal("s"), 3), (TENANT, journal("r"), 3)])
    assert backend.receivers() == ()


def test_messages_outlive_their_sender_and_end_with_their_receiver(backend: Backend) -> None:
    born(backend, "s", "other")
    backend.append([part("s", 1, outbox=(outbox(2),))])

    backend.destroy(TENANT, journal("s"), "d1", "d")
    assert backend.letters(TENANT, journal("other")) == (letter(2),)
    backend.destroy(TENANT, journal("other"), "d2", "d")
    assert backend.receivers() == ()


def test_a_child_that_is_destroyed_with_its_task_unanswered_tells_its_parent(backend: Backend) -> None:
    born(backend, "other")
    backend.create(TENANT, "c", "d", [new("s", parent_journal_id=journal("other"), task="J:7")])

    backend.destroy(TENANT, journal("s"), "d1", "d")
    backend.destroy(TENANT, journal("s"), "d1", "d")

    (last,) = backend.letters(TENANT, journal("other"))
    told = COMMAND.validate_json(last.body)
    assert isinstance(told, ReportChild)
    assert (told.command_id, last.seq) == (f"{journal('s')}:2", 2)
    assert (told.report.child_id, told.report.outcome, told.report.code) == ("s", "cancelled", "destroyed")


def test_what_a_message_refers_to_is_held_for_its_receiver(backend: Backend) -> None:
    born(backend, "s", "other")
    told = (outbox(2, blobs=("ff",)), outbox(3, "nobody", blobs=("ee",)))
    backend.append([part("s", 1, outbox=told, blobs={"ff": b"large", "ee": b"lost"})])

    backend.destroy(TENANT, journal("s"), "d1", "d")
    backend.purge(at(0))

    assert backend.blobs(TENANT, ["ff", "ee"]) == {"ff": b"large"}


def test_a_child_is_born_with_all_its_records_and_what_is_kept_apart_of_them(backend: Backend) -> None:
    born(backend, "s")
    records = (record(1, epoch=0), record(2, epoch=0))
    child = NewSession(info("t", head_seq=2, activity="queued"), records, {"ff": b"large"})

    assert backend.append([part("s", 1, creations=(child,))]) == [Appended(3)]

    assert backend.records(TENANT, journal("t")) == records
    assert [row.session_id for row in backend.due(at(0))] == ["t"]
    assert backend.purge(at(0)) == 0
    assert backend.blobs(TENANT, ["ff"]) == {"ff": b"large"}
    empty = NewSession(info("u"), ())
    assert isinstance(refusal(backend.append([part("s", 3, creations=(empty,))])[0]), InternalError)


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
    assert [row.session_id for row in backend.due(at(10), limit=1)] == ["timer"], "however many work already"
    assert len(backend.due(at(10), limit=2)) == 2
    assert backend.next_wake() == at(10)
    backend.append([part(one, 3, row={"wake_at": None}) for one in ("timer", "later")])
    assert backend.next_wake() is None


def test_a_row_reads_back_exactly_as_it_was_written(backend: Backend) -> None:
    backend.create(TENANT, "c", "d", [NewSession(full_info("s"), (record(1, epoch=0),))])
    backend.acquire(TENANT, journal("s"), 0, 1)
    row = full_info("s").model_copy(update={"head_seq": 3, "epoch": 1, "state": SessionState.paused, "wake_at": None})

    backend.append([replace(part("s", 1), row=row)])

    assert backend.row(TENANT, journal("s")) == row


def test_servers_are_kept_by_tenant_session_and_name_and_forgotten(backend: Backend) -> None:
    one, two = (KnownServer(config={"name": name}, complete=True) for name in ("one", "two"))
    for journal_id, name in (("", "x"), (journal("s"), "x"), ("", "y")):
        backend.put_server(TENANT, journal_id, name, one)
    backend.put_server(TENANT, "", "x", two)
    backend.put_server(TENANT, "", "y", None)
    backend.put_server("other", "", "y", None)

    assert set(map(repr, backend.servers())) == {repr((TENANT, "", two)), repr((TENANT, journal("s"), one))}


def test_a_healthy_store_says_so_and_counts_what_it_has(backend: Backend) -> None:
    born(backend, "s", "t")
    backend.append([part("s", 1)])

    backend.health()
    stats = backend.stats()
    assert (stats["sessions"], stats["records"]) == (2, 4)
    assert stats["bytes"] > 0
    assert stats["store_id"] == backend.identity.store_id
