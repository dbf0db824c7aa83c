"""What the asynchronous store promises: in the same process, and at the other end of a wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from actors.domain.ids import utc_now
from actors.domain.journal import Appended, Due, Filter, FirstOutcome, Snapshot, StoredRecord, StoredResult
from actors.domain.retention import Retention
from actors.errors import (
    CommandConflict,
    Fenced,
    InvalidRequest,
    Overloaded,
    SessionExists,
    SessionNotFound,
    StoreUnavailable,
)
from actors.session.ports import Activation, Loaded, Store
from actors.storage.beginning import Beginning
from actors.storage.handlers import store_handlers
from actors.storage.memory import MemoryBackend
from actors.storage.open import open_backend
from actors.storage.remote import RemoteStore
from actors.storage.service import StoreService
from actors.storage.watch import Hint
from tests.unit.storage.conftest import url_of
from tests.unit.storage.loopback import Loopback
from tests.unit.storage.samples import TENANT, action, at, full_info, journal, letter, new, outbox, part
from tests.unit.storage.slow import HeldBackend

PATIENCE_S = 10.0
"""Seconds after which something that should have happened counts as a failure."""


class SumFold:
    """A fold that a person can check: the seqs of all records, in order."""

    version = 3

    def __init__(self) -> None:
        self.applied = 0

    def initial(self) -> Any:
        return ()

    def apply(self, state: Any, record: StoredRecord) -> Any:
        self.applied += 1
        return (*state, record.seq)

    def dump(self, state: Any) -> bytes:
        return json.dumps(state).encode()

    def load(self, body: bytes) -> Any:
        return tuple(json.loads(body))


@dataclass
class Rig:
    """A store as its users see it, and what stands behind it."""

    store: StoreService | RemoteStore
    service: StoreService
    fold: SumFold


@pytest.fixture(params=["memory", "sqlite", "postgresql", "memory-remote", "sqlite-remote"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    kind, _, remote = str(request.param).partition("-")
    backend = open_backend(url_of(kind, request, tmp_path))
    fold = SumFold()
    async with StoreService(backend, fold=fold) as service:
        store = RemoteStore(Loopback(store_handlers(service))) if remote else service
        yield Rig(store, service, fold)


@pytest.fixture
def store(rig: Rig) -> StoreService | RemoteStore:
    return rig.store


async def live(store: StoreService | RemoteStore, *session_ids: str) -> None:
    await store.create(TENANT, f"create-{session_ids}", "d", [new(one) for one in session_ids])
    for one in session_ids:
        await store.activate(TENANT, journal(one), 0, 1)


async def one_turn() -> None:
    """One turn of the loop: tasks that were just made run up to where they wait."""
    await asyncio.sleep(0)


def test_both_ends_are_the_store_that_sessions_expect() -> None:
    service = StoreService(MemoryBackend())
    stores: list[Store] = [service, RemoteStore(Loopback(store_handlers(service)))]

    assert len(stores) == 2


async def test_a_sessions_whole_life_goes_through_the_store(store: StoreService | RemoteStore) -> None:
    assert await store.next_term() == 1
    assert await store.create(TENANT, "c", "d", [new("s")])
    assert not await store.create(TENANT, "c", "d", [new("s")])
    begun = await store.activate(TENANT, journal("s"), 1, 1)
    row = full_info("s").model_copy(update={"parent_id": None, "parent_journal_id": None, "root_journal_id": None})
    written = part("s", 1, command="say", actions=(action("a"),), outbox=(outbox(2),), blobs={"ff": b"\x00\xff"})
    written = replace(written, row=row)

    assert (begun.epoch, begun.loaded.head) == (1, 1)
    assert await store.append(written) == Appended(3)
    assert await store.append(written) == Appended(3, replayed=True)
    expected = row.model_copy(update={"head_seq": 3, "epoch": 1})
    assert await store.find(TENANT, "s") == expected
    assert await store.row(TENANT, journal("s")) == expected
    assert await store.rows(TENANT, Filter(name_contains="ärger")) == ((expected,), None)
    assert await store.count(TENANT, Filter(state="paused")) == 0
    assert (await store.records(TENANT, journal("s"), after=1)) == written.records
    assert await store.first_outcome(TENANT, journal("s"), "say") == FirstOutcome(2, "dg", "user.message")
    assert await store.first_outcome(TENANT, journal("s"), "other") is None
    assert await store.actions(TENANT) == ((action("a"),), None)
    assert await store.actions(TENANT, journal_id=journal("s"), tree=True, action_id="a") == ((action("a"),), None)
    assert await store.receivers(after=(TENANT, "J")) == ((TENANT, journal("other")),)
    assert await store.letters(TENANT, journal("other")) == (letter(2),)
    assert await store.blobs(TENANT, ["ff", "00"]) == {"ff": b"\x00\xff"}
    assert await store.due(at(0)) == (Due(TENANT, journal("s"), "s", 3),)
    assert await store.next_wake() == row.wake_at
    assert await store.put_snapshot(TENANT, journal("s"), Snapshot(3, 3, 1, b"[1,2,3]"))
    await store.put_result(TENANT, journal("s"), StoredResult("call", 1, b"r"))
    assert await store.results(TENANT, journal("s")) == (StoredResult("call", 1, b"r"),)
    await store.delivered([(TENANT, journal("s"), 2)])
    assert await store.receivers() == ()
    await store.health()
    assert (await store.stats())["sessions"] == 1
    assert (await store.identity()).store_id
    assert await store.destroy(TENANT, journal("s"), "end", "d")
    assert await store.find(TENANT, "s") is None
    assert await store.expire(at(0), Retention(1.0, {TENANT: 2.0})) == ()
    assert await store.purge(utc_now() + timedelta(hours=25), limit=1) == 1


async def test_refusals_arrive_as_the_errors_they_are(store: StoreService | RemoteStore) -> None:
    await live(store, "s", "t")
    await store.append(part("s", 1, command="c"))

    with pytest.raises(Fenced):
        await store.append(part("s", 3, epoch=0))
    with pytest.raises(CommandConflict):
        await store.append(part("s", 3, command="c"))
    with pytest.raises(SessionExists) as exists:
        await store.append(part("s", 3, creations=(new("T"),)))
    assert exists.value.session_ids == ("T",)
    for missing in (
        store.records(TENANT, "J-none"),
        store.activate(TENANT, "J-none", 0, 1),
        store.state(TENANT, "J-none"),
    ):
        with pytest.raises(SessionNotFound):
            await missing
    with pytest.raises(SessionNotFound):
        await store.wait(TENANT, "J-none", after=0, wait_s=1)


async def test_an_activation_loads_the_snapshot_and_what_follows(store: StoreService | RemoteStore) -> None:
    await live(store, "s")
    first = part("s", 1, 1500)
    await store.append(first)
    await store.put_snapshot(TENANT, journal("s"), Snapshot(10, 3, 1, b"x"))

    begun = await store.activate(TENANT, journal("s"), 0, 2)

    assert begun == Activation(2, Loaded(Snapshot(10, 3, 1, b"x"), first.records[9:], kept=10))


async def test_an_activation_has_what_the_one_before_it_wrote_to_the_last(
    store: StoreService | RemoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(store, "s")
    early = Beginning(Loaded(None, await store.records(TENANT, journal("s"))))
    written = part("s", 1, 3)
    await store.append(written)

    async def read_before(*_: object, share: bool = False) -> Beginning:
        return early

    monkeypatch.setattr(StoreService, "beginning", read_before)

    begun = await store.activate(TENANT, journal("s"), 0, 2)

    assert begun.loaded.records == (*early.loaded.records, *written.records)


async def test_a_wait_ends_with_the_commit(store: StoreService | RemoteStore) -> None:
    await live(store, "s")
    waiting = asyncio.create_task(store.wait(TENANT, journal("s"), after=1, wait_s=30))
    await one_turn()

    await store.append(part("s", 1))

    async with asyncio.timeout(PATIENCE_S):
        assert await waiting == 3
    assert await store.wait(TENANT, journal("s"), after=2, wait_s=30) == 3
    assert await store.wait(TENANT, journal("s"), after=3, wait_s=0.01) == 3


async def test_a_follower_gets_every_record_once_and_in_order(store: StoreService | RemoteStore) -> None:
    await live(store, "s")
    await store.append(part("s", 1, 600))

    async def write() -> None:
        for head in range(601, 661, 2):
            await store.append(part("s", head))

    seen: list[int] = []
    async with asyncio.timeout(PATIENCE_S), aclosing(store.follow(TENANT, journal("s"), after=5)) as following:
        writing = asyncio.create_task(write())
        async for batch in following:
            assert 0 < len(batch) <= 600
            seen += [one.seq for one in batch]
            if seen[-1] == 661:
                break
        await writing

    assert seen == list(range(6, 662))
    assert (await store.stats())["readers_waiting"] == 0


async def test_readers_of_a_destroyed_session_are_told(store: StoreService | RemoteStore) -> None:
    await live(store, "s")
    waiting = asyncio.create_task(store.wait(TENANT, journal("s"), after=1, wait_s=30))
    following = store.follow(TENANT, journal("s"))
    assert len(await anext(following)) == 1
    await one_turn()

    await store.destroy(TENANT, journal("s"), "end", "d")

    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(SessionNotFound):
            await waiting
        with pytest.raises(SessionNotFound):
            await anext(following)


async def test_a_state_is_folded_from_the_nearest_place_that_is_known(rig: Rig) -> None:
    await live(rig.store, "s")
    await rig.store.append(part("s", 1, 9))
    await rig.store.put_snapshot(TENANT, journal("s"), Snapshot(4, 3, 1, b"[1,2,3,4]"))

    assert await rig.store.state(TENANT, journal("s")) == Snapshot(10, 3, 1, json.dumps([*range(1, 11)]).encode())
    assert rig.fold.applied == 6
    await rig.store.append(part("s", 10, 1))
    assert (await rig.store.state(TENANT, journal("s"))).seq == 11
    assert rig.fold.applied == 7
    assert (await rig.store.state(TENANT, journal("s"), upto=6)).body == b"[1, 2, 3, 4, 5, 6]"
    assert rig.fold.applied == 9
    assert (await rig.store.state(TENANT, journal("s"), upto=2)).body == b"[1, 2]"
    assert (await rig.store.state(TENANT, journal("s"), upto=99)).seq == 11
    with pytest.raises(InvalidRequest):
        await rig.store.state(TENANT, journal("s"), upto=0)


async def test_a_snapshot_of_another_release_is_folded_anew(rig: Rig) -> None:
    await live(rig.store, "s")
    await rig.store.put_snapshot(TENANT, journal("s"), Snapshot(1, 2, 1, b"of an older form"))

    assert (await rig.store.state(TENANT, journal("s"))).body == b"[1]"


async def test_hints_tell_what_changes_for_the_registry(store: StoreService | RemoteStore) -> None:
    await live(store, "s", "t")
    hints = store.hints()
    asking = asyncio.ensure_future(anext(hints))
    await one_turn()

    await store.append(part("t", 1))
    await store.append(part("s", 1, row={"activity": "running"}))
    async with asyncio.timeout(PATIENCE_S):
        assert await asking == (Hint(TENANT, journal("s"), True),)
        await store.append(part("s", 3, row={"activity": "running"}))
        await store.append(part("s", 5, row={"wake_at": at(9)}, outbox=(outbox(6),)))
        await store.append(part("s", 7, row={"wake_at": at(9)}))
        assert await anext(hints) == (Hint(TENANT, journal("s"), False, at(9), (journal("other"),)),)
    await hints.aclose()


async def test_a_child_that_is_destroyed_leaves_a_hint_for_its_parent(store: StoreService | RemoteStore) -> None:
    await store.create(TENANT, "c", "d", [new("s", parent_journal_id=journal("p"), task="J:7"), new("t")])
    hints = store.hints()
    asking = asyncio.ensure_future(anext(hints))
    await one_turn()

    await store.destroy(TENANT, journal("t"), "d1", "d")
    await store.destroy(TENANT, journal("s"), "d2", "d")
    async with asyncio.timeout(PATIENCE_S):
        assert await asking == (Hint(TENANT, journal("s"), False, None, (journal("p"),)),)
    await hints.aclose()


async def test_appends_of_many_sessions_run_at_the_same_time(store: StoreService | RemoteStore) -> None:
    names = [f"s{number}" for number in range(50)]
    await live(store, *names)

    answers = await asyncio.gather(*(store.append(part(name, 1)) for name in names))

    assert answers == [Appended(3)] * 50


async def test_a_closed_store_says_so(rig: Rig) -> None:
    await live(rig.store, "s")
    waiting = asyncio.create_task(rig.store.wait(TENANT, journal("s"), after=1, wait_s=30))
    await one_turn()

    await rig.service.close()
    await rig.service.close()

    for call in (waiting, rig.store.append(part("s", 1)), rig.store.row(TENANT, journal("s"))):
        with pytest.raises(StoreUnavailable):
            await call


# --- the service itself --------------------------------------------------------------------------------------------


async def held(*session_ids: str, max_queued: int = 100) -> tuple[StoreService, HeldBackend]:
    backend = HeldBackend()
    service = StoreService(backend, max_queued=max_queued)
    await service.open()
    await live(service, *session_ids)
    return service, backend


async def test_what_gathers_during_a_commit_shares_the_next_one() -> None:
    names = [f"s{number}" for number in range(20)]
    service, backend = await held(*names)
    first = asyncio.create_task(service.append(part("s0", 1)))
    await asyncio.to_thread(backend.entered.wait, PATIENCE_S)
    others = [asyncio.create_task(service.append(part(name, 1))) for name in names[1:]]
    await one_turn()

    backend.go.set()
    await asyncio.gather(first, *others)

    assert backend.sizes == [1, 19]
    await service.close()


async def test_a_caller_that_goes_away_does_not_take_its_append_back() -> None:
    service, backend = await held("s")
    caller = asyncio.create_task(service.append(part("s", 1)))
    await asyncio.to_thread(backend.entered.wait, PATIENCE_S)
    queued = asyncio.create_task(service.append(part("s", 3)))
    await one_turn()

    caller.cancel()
    queued.cancel()
    await asyncio.wait([caller, queued])
    backend.go.set()

    assert await service.wait(TENANT, journal("s"), after=4, wait_s=PATIENCE_S) == 5
    assert caller.cancelled()
    assert queued.cancelled()
    await service.close()


async def test_a_full_queue_refuses_more_and_closing_commits_what_is_queued() -> None:
    service, backend = await held("s", "t", max_queued=1)
    first = asyncio.create_task(service.append(part("s", 1)))
    await asyncio.to_thread(backend.entered.wait, PATIENCE_S)
    second = asyncio.create_task(service.append(part("t", 1)))
    await one_turn()

    with pytest.raises(StoreUnavailable) as full:
        await service.append(part("s", 3))
    assert full.value.retry_after_s is not None
    closing = asyncio.create_task(service.close())
    backend.go.set()
    await closing

    assert (await first, await second) == (Appended(3), Appended(3))


async def test_a_failed_commit_fails_its_appends_and_the_next_one_heals() -> None:
    service, backend = await held("s")
    backend.failing = True
    backend.go.set()

    with pytest.raises(StoreUnavailable):
        await service.append(part("s", 1))
    backend.failing = False
    assert await service.append(part("s", 1)) == Appended(3)
    await service.close()


async def test_readers_are_bounded_in_number() -> None:
    async with StoreService(MemoryBackend(), max_readers=1) as service:
        await live(service, "s")
        waiting = asyncio.create_task(service.wait(TENANT, journal("s"), after=1, wait_s=30))
        await one_turn()

        with pytest.raises(Overloaded):
            await service.wait(TENANT, journal("s"), after=1, wait_s=30)
        with pytest.raises(Overloaded):
            await anext(service.follow(TENANT, journal("s")))
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await service.wait(TENANT, journal("s"), after=0, wait_s=1) == 1


async def test_a_follower_that_stalls_misses_nothing() -> None:
    async with StoreService(MemoryBackend()) as service:
        await live(service, "s")
        async with aclosing(service.follow(TENANT, journal("s"))) as following:
            seen = [one.seq for one in await anext(following)]
            for head in range(1, 1001, 2):
                await service.append(part("s", head))
            async with asyncio.timeout(PATIENCE_S):
                while seen[-1] != 1001:
                    seen += [one.seq for one in await anext(following)]

    assert seen == list(range(1, 1002))


# --- the remote end ------------------------------------------------------------------------------------------------


async def test_a_lost_connection_means_that_the_store_is_unavailable() -> None:
    async with StoreService(MemoryBackend()) as service:
        caller = Loopback(store_handlers(service))
        store = RemoteStore(caller)
        await live(store, "s")
        following = store.follow(TENANT, journal("s"))
        caller.broken = True

        with pytest.raises(StoreUnavailable) as lost:
            await store.append(part("s", 1))
        assert lost.value.retryable
        with pytest.raises(StoreUnavailable):
            await anext(following)


async def test_blobs_come_in_as_many_answers_as_their_size_takes() -> None:
    async with StoreService(MemoryBackend()) as service:
        store = RemoteStore(Loopback(store_handlers(service)))
        await live(store, "s")
        large = {f"{number:02}": bytes([number]) * 7_000_000 for number in range(5)}
        await service.append(part("s", 1, blobs=large))

        first, rest = await Loopback(store_handlers(service)).call("blobs", tenant=TENANT, digests=[*large, "none"])

        assert (len(first), rest) == (3, ["03", "04", "none"])
        assert await store.blobs(TENANT, [*large, "none"]) == large


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("append", {"parts": [[1, 2]]}),
        ("append", {"parts": [None]}),
        ("create", {"tenant": "t", "command_id": "c", "digest": "d", "sessions": [[b"{}", [1]]], "store": "default"}),
        ("rows", {"tenant": "t", "wanted": [], "after": None, "limit": 1}),
        ("due", {"now": 2**63, "limit": 1}),
        ("put_result", {"tenant": "t", "journal_id": "j", "result": 5}),
    ],
)
async def test_malformed_values_are_refused_and_nothing_happens(method: str, args: dict[str, Any]) -> None:
    async with StoreService(MemoryBackend()) as service:
        with pytest.raises(InvalidRequest):
            await Loopback(store_handlers(service)).call(method, **args)
        assert (await service.stats())["sessions"] == 0


async def test_a_snapshot_by_hand_is_the_newest_whoever_writes_next(store: StoreService | RemoteStore) -> None:
    await live(store, "s")
    await store.append(part("s", 1, 2))
    await store.activate(TENANT, journal("s"), 0, 2)

    taken = await store.take_snapshot(TENANT, journal("s"))

    assert (taken.seq, taken.size) == (3, len(b"[1, 2, 3]"))
    await store.put_snapshot(TENANT, journal("s"), Snapshot(2, 3, 2, b"older"))
    assert await store.take_snapshot(TENANT, journal("s")) == taken
    with pytest.raises(SessionNotFound):
        await store.take_snapshot(TENANT, journal("none"))


async def test_a_purge_is_answered_as_it_was_first(store: StoreService | RemoteStore) -> None:
    await live(store, "s")

    assert await store.purge_session(TENANT, journal("s"), "end", "d")
    assert await store.purge_session(TENANT, journal("s"), "end", "d")
    assert await store.row(TENANT, journal("s")) is None


async def test_outcomes_that_are_too_large_together_are_sent_call_by_call(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.storage.sendable.MAX_BYTES", 10)
    assert await store.create(TENANT, "c", "d", [new("s")])
    large = b"x" * 8
    kept = [StoredResult(f"call-{number}", 1, large) for number in range(3)]
    for one in kept:
        await store.put_result(TENANT, journal("s"), one)

    together = await store.results(TENANT, journal("s"))
    assert [(one.call_id, one.outcome) for one in together] == [("call-0", large), ("call-1", None), ("call-2", None)]
    assert [await store.results(TENANT, journal("s"), one.call_id) for one in kept] == [(one,) for one in kept]
    assert (await store.activate(TENANT, journal("s"), await store.next_term(), 1)).loaded.results == together
