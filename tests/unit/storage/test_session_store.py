"""The store with what it is for: real records folded into real states, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from actors.channel.link import Link
from actors.channel.server import ChannelServer
from actors.domain import records as r
from actors.domain.journal import Appended, AppendPart, NewSession, StoredRecord
from actors.domain.messages import Message
from actors.domain.session import SessionConfig
from actors.errors import SessionNotFound, StoreUnavailable
from actors.session import fold
from actors.session.state import SNAPSHOT_VERSION, from_snapshot, initial
from actors.storage.handlers import store_handlers
from actors.storage.open import open_backend
from actors.storage.remote import RemoteStore
from actors.storage.service import StoreService
from tests.unit.storage.samples import TENANT, at, info, journal, new, part

TOKEN = "token-of-the-test"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[StoreService]:
    async with StoreService(open_backend(str(tmp_path / "store"))) as opened:
        yield opened


def real_records(session_id: str) -> list[r.Record]:
    created = r.SessionCreated.Data(journal_id=journal(session_id), tenant=TENANT, config=SessionConfig(name="title"))
    drafts = [r.Draft(r.SessionCreated, created)]
    for number in range(3):
        data = r.MessageAdded.Data(message=Message.user(f"message {number}"))
        drafts.append(r.Draft(r.MessageAdded, data))
    return [
        r.stamp(draft, journal_id=journal(session_id), session_id=session_id, seq=seq, at=at(seq), epoch=int(seq > 1))
        for seq, draft in enumerate(drafts, 1)
    ]


def stored(record: r.Record) -> StoredRecord:
    return StoredRecord(record.seq, record.type, record.at, record.epoch, r.encode_record(record))


async def test_a_state_is_the_fold_of_the_records(service: StoreService) -> None:
    first, *rest = real_records("s")
    await service.create(TENANT, "c", "d", [NewSession(info("s"), (stored(first),))])
    await service.acquire(TENANT, journal("s"), 0, 1)
    written = tuple(map(stored, rest))
    await service.append(AppendPart(TENANT, journal("s"), 1, 1, "b", written, info("s", head_seq=4)))

    whole = await service.state(TENANT, journal("s"))
    earlier = await service.state(TENANT, journal("s"), upto=2)

    assert (whole.seq, whole.version, whole.epoch) == (4, SNAPSHOT_VERSION, 1)
    assert from_snapshot(whole.body) == fold.fold(initial(), [first, *rest])
    assert from_snapshot(earlier.body) == fold.fold(initial(), [first, *rest[:1]])


async def test_a_store_is_used_over_a_socket_as_in_the_same_process(service: StoreService, tmp_path: Path) -> None:
    server = ChannelServer(store_handlers(service), TOKEN)
    address = await server.start_unix(tmp_path / "store.sock")

    async def resolve() -> str:
        return address

    link = Link(resolve, TOKEN)
    store = RemoteStore(link)
    await store.create(TENANT, "c", "d", [new("s")])
    begun = await store.activate(TENANT, journal("s"), 0, 1)
    assert (begun.epoch, begun.loaded.head) == (1, 1)
    with pytest.raises(SessionNotFound):
        await store.activate(TENANT, "J-none", 0, 1)
    async with asyncio.timeout(10), aclosing(store.follow(TENANT, journal("s"))) as following:
        assert [one.seq for one in await anext(following)] == [1]
        assert await store.append(part("s", 1)) == Appended(3)
        assert [one.seq for one in await anext(following)] == [2, 3]
    assert await store.wait(TENANT, journal("s"), after=1, wait_s=30) == 3

    await server.close()

    with pytest.raises(StoreUnavailable):
        await store.append(part("s", 3))
    await link.close()
