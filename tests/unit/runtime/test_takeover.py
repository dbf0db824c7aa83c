"""A registry that comes up: once for all who wait, again after a failure, and not in silence when it cannot."""

from __future__ import annotations

import asyncio

import pytest

from actors.errors import StoreCorrupt, StoreUnavailable
from actors.residency import takeover
from actors.residency.takeover import Takeover


class Work:
    """Fails with the errors that are left, then succeeds when it may."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.runs = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> None:
        self.runs += 1
        await self.go.wait()
        if self.errors:
            raise self.errors.pop(0)


async def test_all_who_wait_share_one_run_and_a_cancelled_one_does_not_end_it() -> None:
    work = Work()
    work.go.clear()
    taking = Takeover(work)
    waiting = [asyncio.create_task(taking.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    work.go.set()

    assert await asyncio.gather(*waiting[1:]) == [None, None]
    await taking.wait()
    assert work.runs == 1
    assert taking.succeeded


async def test_what_failed_is_told_and_tried_again_when_somebody_asks_again() -> None:
    work = Work(StoreUnavailable("full"))
    taking = Takeover(work)

    with pytest.raises(StoreUnavailable):
        await taking.wait()
    assert not taking.succeeded
    await taking.wait()

    assert work.runs == 2


async def test_a_restarted_registry_tries_until_it_succeeds_and_says_what_is_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "PATIENCE_S", 0.01)
    monkeypatch.setattr(takeover, "PAUSE_S", 0.001)
    work = Work(*[StoreUnavailable("the disk is full")] * 1_000_000)
    taking = Takeover(work)
    taking.persist()

    for _ in range(2):
        with pytest.raises(StoreUnavailable) as told:
            await taking.wait()
        assert "the disk is full" in told.value.message
    work.errors.clear()
    monkeypatch.setattr(takeover, "PATIENCE_S", 10.0)
    await taking.wait()
    assert taking.succeeded


async def test_what_cannot_heal_is_not_tried_by_itself() -> None:
    work = Work(StoreCorrupt("here", "its pages contradict each other"))
    taking = Takeover(work)
    taking.persist()

    with pytest.raises(StoreCorrupt):
        await taking.wait()
    assert work.runs == 1
    await taking.wait()
    assert work.runs == 2
