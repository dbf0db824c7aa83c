"""Several stores behind the face of one: each session in one of them, and trouble that stays where it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.domain.journal import Appended, Filter, Origin, Refused
from actors.domain.session import StorageType
from actors.domain.stores import StorePlace
from actors.errors import (
    GreenroomError,
    InternalError,
    InvalidConfig,
    SessionExists,
    SessionNotFound,
    StoreCorrupt,
    StoreUnavailable,
    Superseded,
)
from actors.session.ports import Store
from actors.storage.backend import Backend
from actors.storage.memory import MemoryBackend
from actors.storage.open import backend_at
from actors.storage.rules import MAX_PAGE
from actors.storage.service import StoreService
from actors.storage.several import member as member_module
from actors.storage.several.member import Member
from actors.storage.several.stores import SeveralStores
from actors.storage.watch import Hints
from tests.unit.storage.samples import TENANT, action, at, info, journal, new, outbox, part
from tests.unit.storage.slow import HeldBackend

LIMIT_S = 20.0


class Switched(MemoryBackend):
    """Memory that can be out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.works = True
        self.failure: GreenroomError = StoreUnavailable("the switch is off")

    def open(self) -> Any:
        self._look()
        return super().open()

    def _access(self) -> Any:
        self._look()
        return super()._access()

    def _look(self) -> None:
        if not self.works:
            raise self.failure


def several(*backends: tuple[str, Backend]) -> SeveralStores:
    """Stores by name, the default one first."""
    hints = Hints()
    places = [(StorePlace(name=name, kind=StorageType.memory), backend) for name, backend in backends]
    return SeveralStores([Member(place, StoreService(backend, hints=hints)) for place, backend in places], hints)


@pytest.fixture
async def broken() -> Switched:
    return Switched()


@pytest.fixture
async def stores(tmp_path: Path, broken: Switched) -> AsyncIterator[SeveralStores]:
    """A default store in memory, SQLite beside it, and one that can be out of order."""
    some = several(("default", MemoryBackend()), ("file", backend_at(str(tmp_path / "store"))), ("other", broken))
    async with asyncio.timeout(LIMIT_S), some:
        yield some


async def live(stores: SeveralStores, session_id: str, store: str, **values: Any) -> None:
    await stores.create(TENANT, f"create-{session_id}", "d", [new(session_id, **values)], store=store)
    await stores.activate(TENANT, journal(session_id), 1, 1)


def test_they_are_the_store_that_sessions_expect() -> None:
    async def made() -> Store:
        return several(("default", MemoryBackend()))

    assert asyncio.run(made()) is not None


# --- each session in its store ---------------------------------------------------------------------------------------


async def test_a_session_lives_in_the_store_it_was_made_in_and_is_found_by_its_id_or_journal(
    stores: SeveralStores,
) -> None:
    await stores.next_term()
    for name in ("default", "file", "other"):
        await live(stores, f"in-{name}", name)
        assert await stores.append(part(f"in-{name}", 1, blobs={f"b-{name}": b"x"})) == Appended(3)
        found = await stores.find(TENANT, f"in-{name}")
        assert found is not None
        assert (found.journal_id, found.head_seq) == (journal(f"in-{name}"), 3)
        assert len(await stores.records(TENANT, found.journal_id)) == 3
    assert set(await stores.blobs(TENANT, ["b-default", "b-file", "b-other", "none"])) == {
        "b-default",
        "b-file",
        "b-other",
    }


async def test_it_is_found_again_by_stores_that_know_nothing_of_it_yet(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    async with several(("default", MemoryBackend()), ("file", backend_at(url))) as stores:
        await live(stores, "s", "file")
    async with several(("default", MemoryBackend()), ("file", backend_at(url))) as again:
        assert await again.row(TENANT, journal("s")) is not None
        assert [row.session_id for row in (await again.rows(TENANT, Filter()))[0]] == ["s"]


async def test_an_id_that_a_store_has_is_refused_in_each_other_one_whatever_its_case(stores: SeveralStores) -> None:
    await stores.create(TENANT, "c", "d", [new("Name")], store="file")

    with pytest.raises(SessionExists) as refused:
        await stores.create(TENANT, "c2", "d", [new("free"), new("nAME")], store="other")

    assert refused.value.session_ids == ("nAME",)
    assert await stores.find(TENANT, "free") is None
    assert await stores.create("another", "c", "d", [new("Name", tenant="another")])


async def test_of_two_that_want_an_id_in_two_stores_at_the_same_time_one_gets_it(stores: SeveralStores) -> None:
    wanted = (replace(new("s"), row=info("s", journal_id=f"J-{store}")) for store in ("file", "other", "default"))
    made = await asyncio.gather(
        *(
            stores.create(TENANT, f"c-{store}", "d", [one], store=store)
            for store, one in zip(("file", "other", "default"), wanted, strict=True)
        ),
        return_exceptions=True,
    )

    assert [one for one in made if one is True] == [True]
    assert sum(isinstance(one, SessionExists) for one in made) == 2


async def test_a_child_is_born_where_its_parent_lives_unless_its_id_is_in_use_elsewhere(stores: SeveralStores) -> None:
    await live(stores, "p", "file")
    await live(stores, "q", "other")
    await stores.create(TENANT, "c", "d", [new("taken")])
    refused = part("q", 1, creations=(new("Taken"),))
    fit = part("p", 1, creations=(new("child"),))

    got = await stores.append_all([refused, fit])

    assert isinstance(got[0], Refused)
    assert isinstance(got[0].error, SessionExists)
    assert got[1] == Appended(3)
    file = stores._homes.members[1]  # pyright: ignore[reportPrivateUsage] - what the test is about
    assert await file.service.find(TENANT, "child") is not None


async def test_two_parents_of_one_batch_that_want_the_same_childs_id_do_not_wait_for_each_other(
    stores: SeveralStores,
) -> None:
    for name in ("p", "q"):
        await live(stores, name, "file")
    births = [part(name, 1, creations=(replace(new("x"), row=info("x", journal_id=f"J-of-{name}")),)) for name in "pq"]

    got = await stores.append_all(births)

    assert [type(one) for one in got] == [Appended, Refused]


async def test_a_fork_is_born_where_its_source_lives(stores: SeveralStores) -> None:
    await live(stores, "s", "file")
    fork = replace(new("fork"), origin=Origin(journal("s"), 1), row=info("fork", head_seq=2))
    fork = replace(fork, records=(replace(fork.records[0], seq=2),))

    await stores.create(TENANT, "f", "d", [fork], store="default")

    assert len(await stores.records(TENANT, journal("fork"))) == 2


async def test_a_destroyed_session_is_gone_and_the_same_command_says_so_again(stores: SeveralStores) -> None:
    await live(stores, "s", "file")
    async with aclosing(stores.follow(TENANT, journal("s"))) as pages:
        await anext(pages)
        assert await stores.destroy(TENANT, journal("s"), "end", "d")
        with pytest.raises(SessionNotFound):
            await anext(pages)

    assert await stores.find(TENANT, "s") is None
    assert await stores.destroy(TENANT, "", "end", "d")
    assert not await stores.destroy(TENANT, "", "another", "d")
    assert await stores.create(TENANT, "again", "d", [replace(new("s"), row=info("s", journal_id="J2"))])


async def test_an_unknown_journal_is_unknown_as_in_one_store(stores: SeveralStores) -> None:
    assert await stores.row(TENANT, "none") is None
    assert await stores.results(TENANT, "none") == ()
    assert await stores.results(TENANT, "none", "call") == ()
    with pytest.raises(SessionNotFound):
        await stores.append(part("none", 1))
    with pytest.raises(SessionNotFound):
        await stores.wait(TENANT, "none", after=0, wait_s=0)
    with pytest.raises(InvalidConfig):
        await stores.create(TENANT, "c", "d", [new("s")], store="none")


async def test_messages_wait_where_their_sender_lives_and_are_forgotten_there(stores: SeveralStores) -> None:
    for name in ("default", "file"):
        await live(stores, f"to-{name}", name)
        await live(stores, f"from-{name}", name)
        await stores.append(part(f"from-{name}", 1, outbox=(outbox(2, f"to-{name}"),)))

    receivers = await stores.receivers()
    assert receivers == ((TENANT, journal("to-default")), (TENANT, journal("to-file")))
    for name in ("default", "file"):
        (letter,) = await stores.letters(TENANT, journal(f"to-{name}"))
        await stores.delivered([(TENANT, letter.journal_id, letter.seq)])
    assert await stores.receivers() == ()


async def test_messages_of_a_sender_that_is_gone_are_forgotten_wherever_they_are(stores: SeveralStores) -> None:
    await live(stores, "to", "file")
    await live(stores, "from", "file")
    await stores.append(part("from", 1, outbox=(outbox(2, "to"),)))
    await stores.destroy(TENANT, journal("from"), "end", "d")
    stores._homes._journals.clear()  # pyright: ignore[reportPrivateUsage] - as after a restart

    (letter,) = await stores.letters(TENANT, journal("to"))
    await stores.delivered([(TENANT, letter.journal_id, letter.seq)])

    assert await stores.receivers() == ()


# --- registries ------------------------------------------------------------------------------------------------------


async def test_a_newer_registry_takes_all_stores_and_the_older_one_gets_none(stores: SeveralStores) -> None:
    old = await stores.next_term()
    for name in ("default", "file", "other"):
        await stores.create(TENANT, f"c-{name}", "d", [new(name)], store=name)
        await stores.activate(TENANT, journal(name), old, 7)
    term = await stores.next_term()

    for name in ("default", "file", "other"):
        with pytest.raises(Superseded):
            await stores.activate(TENANT, journal(name), old, 8)
        taken = await asyncio.gather(*(stores.activate(TENANT, journal(name), term, one) for one in (1, 2)))
        assert [one.epoch for one in taken] == [2, 3]


async def test_a_store_that_has_seen_more_registries_than_the_default_one_serves_the_newest(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    async with StoreService(backend_at(url)) as alone:
        for _ in range(5):
            await alone.next_term()
        await alone.create(TENANT, "c", "d", [new("s")])
        await alone.activate(TENANT, journal("s"), 5, 3)
    async with several(("default", MemoryBackend()), ("file", backend_at(url))) as stores:
        term = await stores.next_term()
        assert (term, (await stores.activate(TENANT, journal("s"), term, 1)).epoch) == (1, 2)


async def test_a_commit_in_any_store_is_a_hint_for_the_registry(stores: SeveralStores) -> None:
    async with aclosing(stores.hints()) as hints:
        coming = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0)
        await stores.create(TENANT, "c", "d", [new("s", wake_at=at(5))], store="file")
        assert [one.journal_id for one in await coming] == [journal("s")]


# --- one is out of order ---------------------------------------------------------------------------------------------


async def test_a_store_that_fails_takes_no_other_down(stores: SeveralStores, broken: Switched) -> None:
    await live(stores, "lost", "other")
    await live(stores, "s", "file")
    broken.works = False

    got = await stores.append_all([part("lost", 1), part("s", 1)])
    assert isinstance(got[0], Refused)
    assert isinstance(got[0].error, StoreUnavailable)
    assert got[1] == Appended(3)
    assert [row.session_id for row in (await stores.rows(TENANT, Filter()))[0]] == ["s"]
    assert await stores.unavailable() == ("other",)
    assert await stores.count(TENANT, Filter()) == 1
    with pytest.raises(StoreUnavailable):
        await stores.spent(TENANT)
    assert await stores.actions(TENANT) == ((), None)
    assert await stores.due(at(0)) == ()
    assert await stores.create(TENANT, "c", "d", [new("t")], store="file")
    assert "error" in (await stores.stats())["stores"]["other"]
    await stores.health("file")
    with pytest.raises(StoreUnavailable):
        await stores.health("other")


async def test_of_what_is_due_a_look_finds_more_than_a_page() -> None:
    backend = MemoryBackend()
    async with StoreService(backend) as store:
        running = {"activity": "running"}
        names = [f"s{number}" for number in range(MAX_PAGE + 1)]
        await store.create(TENANT, "c", "d", [new(name, **running) for name in names])

        assert len(await store.due(at(0), limit=2 * MAX_PAGE)) == MAX_PAGE + 1


async def test_many_who_ask_at_once_for_a_session_that_is_gone_are_all_told_so(stores: SeveralStores) -> None:
    await live(stores, "s", "file")
    assert await stores.find(TENANT, "s") is not None
    assert await stores.destroy(TENANT, journal("s"), "end", "d")

    assert await asyncio.gather(*(stores.find(TENANT, "s") for _ in range(3))) == [None] * 3


async def test_what_is_due_in_one_store_does_not_wait_for_what_is_due_in_another(stores: SeveralStores) -> None:
    for name, store in (("a", "default"), ("b", "default"), ("c", "default"), ("d", "file")):
        await live(stores, name, store)
        await stores.append(part(name, 1, row={"activity": "running"}))

    assert sorted(row.session_id for row in await stores.due(at(0), limit=2)) == ["a", "d"]
    assert len(await stores.due(at(0))) == 4


async def test_what_may_be_in_a_store_that_fails_is_unavailable_and_not_unknown(
    stores: SeveralStores, broken: Switched
) -> None:
    broken.works = False

    with pytest.raises(StoreUnavailable, match="store other: the switch is off"):
        await stores.find(TENANT, "s")
    with pytest.raises(StoreUnavailable, match="store other"):
        await stores.row(TENANT, journal("s"))
    with pytest.raises(StoreUnavailable, match="store other"):
        await stores.blobs(TENANT, ["00"])


async def test_a_family_is_listed_whole_or_not_at_all(stores: SeveralStores, broken: Switched) -> None:
    await live(stores, "p", "other")
    await stores.append(part("p", 1, creations=(new("c", parent_journal_id=journal("p")),)))
    broken.works = False

    with pytest.raises(StoreUnavailable):
        await stores.rows(TENANT, Filter(parent_journal_id=journal("p")))


async def test_when_no_store_answers_a_listing_fails(broken: Switched) -> None:
    async with several(("default", broken), ("other", broken)) as stores:
        broken.works = False
        with pytest.raises(StoreUnavailable, match="store default"):
            await stores.rows(TENANT, Filter())
        broken.works = True


async def test_a_store_that_hangs_is_left_out_of_lists_and_delays_nobody_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(member_module, "PATIENCE_S", 0.01)
    held = HeldBackend()
    async with asyncio.timeout(LIMIT_S), several(("default", MemoryBackend()), ("held", held)) as stores:
        await live(stores, "h", "held")
        await live(stores, "s", "default")
        hanging = asyncio.ensure_future(stores.append(part("h", 1)))
        await asyncio.to_thread(held.entered.wait)

        assert await stores.append(part("s", 1)) == Appended(3)
        # Its reads wait for the lock that its append holds only in a database; here its writes are what hangs.
        assert await stores.purge(at(0)) == 0
        assert await stores.unavailable() == ("held",)
        held.go.set()
        assert await hanging == Appended(3)


async def test_a_store_that_cannot_be_reached_at_the_start_is_opened_later(
    broken: Switched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_module, "PAUSE_S", 0.0)
    broken.works = False
    async with asyncio.timeout(LIMIT_S), several(("default", MemoryBackend()), ("late", broken)) as stores:
        with pytest.raises(StoreUnavailable):
            await stores.create(TENANT, "c", "d", [new("s")], store="late")
        assert await stores.create(TENANT, "c", "d", [new("t")])
        broken.failure = InternalError("a server that comes up may say anything")
        await asyncio.sleep(0)
        broken.works = True
        opening = stores._homes.members[1]._opening  # pyright: ignore[reportPrivateUsage] - what there is to wait for
        assert opening is not None
        await opening
        assert await stores.create(TENANT, "late", "d", [new("s")], store="late")


async def test_a_store_that_cannot_work_lets_none_be_opened(tmp_path: Path) -> None:
    (tmp_path / "greenroom.db").write_bytes(b"no database at all" * 100)
    stores = several(("default", MemoryBackend()), ("file", backend_at(str(tmp_path))))

    with pytest.raises(StoreCorrupt):
        await stores.open()


async def test_the_default_store_has_to_be_reached_at_the_start(broken: Switched) -> None:
    broken.works = False
    with pytest.raises(StoreUnavailable):
        await several(("default", broken), ("other", MemoryBackend())).open()


# --- lists -----------------------------------------------------------------------------------------------------------


async def test_a_page_that_one_store_fills_alone_is_not_the_last(stores: SeveralStores) -> None:
    await stores.create(TENANT, "c", "d", [new("a"), new("b"), new("c")], store="file")

    page, cursor = await stores.rows(TENANT, Filter(), limit=2)
    rest, end = await stores.rows(TENANT, Filter(), after=cursor, limit=2)

    assert ([row.session_id for row in (*page, *rest)], end) == (["c", "b", "a"], None)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_go_through_all_stores_in_one_order(stores: SeveralStores, limit: int) -> None:
    names = ("default", "file", "other")
    for number in range(7):
        name = f"s{number}"
        # Some are of the same moment, in different stores.
        moment = at(number // 2)
        await stores.create(TENANT, name, "d", [new(name, updated_at=moment)], store=names[number % 3])
        await stores.activate(TENANT, journal(name), 1, 1)
        asked = action(f"a{number}", number // 2)
        asked = asked.model_copy(update={"session_id": name})
        written = part(name, 1, actions=(asked,))
        await stores.append(replace(written, row=written.row.model_copy(update={"updated_at": moment})))

    rows: list[str] = []
    cursor = None
    while True:
        page, cursor = await stores.rows(TENANT, Filter(), after=cursor, limit=limit)
        rows += [row.session_id for row in page]
        if cursor is None:
            break
    asked_of: list[str] = []
    while True:
        some, cursor = await stores.actions(TENANT, after=cursor, limit=limit)
        asked_of += [one.action_id for one in some]
        if cursor is None:
            break

    assert rows == ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]
    assert asked_of == [f"a{number}" for number in range(7)]
