"""What is in an object store: put there once, found by all, and let go."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import pytest

from actors.errors import SessionNotFound
from actors.storage import shelf as shelves
from actors.storage.shelf import Place, Placed, Put, Shelf

PATIENCE_S = 10.0


class Reference:
    """Something that can be seen to go."""


def place(number: int = 1, journal_id: str = "J") -> Place:
    return Place("default", journal_id, number)


def puts(reference: Any, size: int = 10) -> Put:
    async def put() -> Placed | None:
        return Placed(reference, size)

    return put


async def test_however_many_ask_it_is_put_once() -> None:
    shelf, go = Shelf(), asyncio.Event()

    async def put() -> Placed | None:
        await go.wait()
        return Placed("reference", 10)

    asking = [asyncio.ensure_future(shelf.get(place(), put)) for _ in range(64)]
    await asyncio.sleep(0)
    asking[0].cancel()
    go.set()

    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == ["reference"] * 63
    assert await shelf.get(place(), puts("another")) == "reference"
    assert shelf.stats() == {"puts": 1, "given": 64, "objects": 1, "bytes": 10}


@pytest.mark.parametrize(("bound", "value"), [("MAX_OBJECTS", 2), ("MAX_BYTES", 20)])
async def test_what_was_asked_for_least_recently_goes_when_there_is_too_much(
    bound: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, bound, value)
    shelf = Shelf()
    for number in (1, 2, 1, 3):
        await shelf.get(place(number), puts(number))

    assert shelf.stats() == {"puts": 3, "given": 4, "objects": 2, "bytes": 20}
    assert [await shelf.get(place(number), puts("anew")) for number in (1, 3, 2)] == [1, 3, "anew"]


async def test_what_is_larger_than_all_that_is_kept_is_given_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "MAX_BYTES", 9)
    shelf = Shelf()

    assert await shelf.get(place(), puts("large")) == "large"
    assert shelf.stats()["objects"] == 0


async def test_what_nobody_asks_for_any_more_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "KEEP_S", 0.0)
    shelf = Shelf()

    for number in (1, 2):
        reference = Reference()
        let_go = asyncio.Event()
        weakref.finalize(reference, let_go.set)
        await shelf.get(place(number), puts(reference))
        del reference
        async with asyncio.timeout(PATIENCE_S):
            await let_go.wait()
    assert shelf.stats() == {"puts": 2, "given": 2, "objects": 0, "bytes": 0}


async def test_nothing_is_kept_of_a_journal_that_was_destroyed_also_while_it_was_being_put() -> None:
    shelf = Shelf()
    await shelf.get(place(), puts("old"))
    await shelf.get(place(1, "other"), puts("other"))

    async def put() -> Placed | None:
        shelf.forget("default", "J")
        return Placed("meanwhile", 10)

    assert await shelf.get(place(2), put) == "meanwhile"
    assert shelf.stats()["objects"] == 1
    assert await shelf.get(place(), puts("anew")) == "anew"


async def test_what_could_not_be_put_is_tried_again() -> None:
    shelf = Shelf()

    async def full() -> Placed | None:
        return None

    async def gone() -> Placed | None:
        raise SessionNotFound("s")

    assert await shelf.get(place(), full) is None
    with pytest.raises(SessionNotFound):
        await shelf.get(place(), gone)
    assert await shelf.get(place(), puts("there")) == "there"
