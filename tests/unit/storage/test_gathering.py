"""Appends of many sessions of one process: one call at a time, an answer for each part, no part sent twice or lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from actors.domain.journal import Appended, AppendPart, Refused
from actors.errors import Fenced, InvalidRequest, StoreUnavailable
from actors.storage.gathering import MAX_BYTES, MAX_PARTS, Gathering
from tests.unit.storage.samples import part

Answers = Sequence[Appended | Refused]


class Carrier:
    """Carries calls when the test lets it."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.asked: asyncio.Queue[tuple[list[AppendPart], asyncio.Future[Answers]]] = asyncio.Queue()

    async def send(self, parts: Sequence[AppendPart]) -> Answers:
        self.calls.append([one.journal_id for one in parts])
        answer: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait((list(parts), answer))
        return await answer

    async def answers(self, answers: Answers | Exception | None = None) -> None:
        """Answer the call that is on its way, by default with yes to everything."""
        parts, answer = await self.asked.get()
        if isinstance(answers, Exception):
            answer.set_exception(answers)
        else:
            answer.set_result(answers if answers is not None else [Appended(one.expected_seq + 1) for one in parts])


async def _appending(gathering: Gathering, *names: str) -> list[asyncio.Task[Appended]]:
    tasks = [asyncio.create_task(gathering.append(part(name, 1))) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_appends_that_wait_together_travel_together() -> None:
    carrier = Carrier()
    gathering = Gathering(carrier.send)

    tasks = await _appending(gathering, "a", "b", "c")
    await carrier.answers()
    await carrier.answers()

    assert await asyncio.gather(*tasks) == [Appended(2)] * 3
    assert [len(call) for call in carrier.calls] == [1, 2]


async def test_each_part_is_answered_by_itself() -> None:
    carrier = Carrier()
    tasks = await _appending(Gathering(carrier.send), "a", "b", "c")
    await carrier.answers([Refused(Fenced("a", 1, 2))])
    await carrier.answers([Appended(7), Refused(Fenced("c", 1, 2))])

    got = await asyncio.gather(*tasks, return_exceptions=True)
    assert got[1] == Appended(7)
    assert isinstance(got[0], Fenced)
    assert isinstance(got[2], Fenced)


async def test_a_lost_call_fails_its_own_parts_and_the_next_ones_go_on() -> None:
    carrier = Carrier()
    gathering = Gathering(carrier.send)
    tasks = await _appending(gathering, "a", "b", "c")
    await carrier.answers(StoreUnavailable("lost"))
    await carrier.answers(StoreUnavailable("lost"))
    for task in tasks:
        with pytest.raises(StoreUnavailable):
            await task

    (again,) = await _appending(gathering, "a")
    await carrier.answers()
    assert await again == Appended(2)


async def test_a_part_that_cannot_travel_does_not_hold_up_the_others() -> None:
    carrier = Carrier()
    tasks = await _appending(Gathering(carrier.send), "a", "b", "c")
    await carrier.answers()
    await carrier.answers(InvalidRequest("a value cannot travel"))
    await carrier.answers(InvalidRequest("a value cannot travel"))
    await carrier.answers()

    got = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in got] == [Appended, InvalidRequest, Appended]
    assert [len(call) for call in carrier.calls] == [1, 2, 1, 1]


async def test_what_was_not_sent_yet_can_be_taken_back() -> None:
    carrier = Carrier()
    first, second, third = await _appending(Gathering(carrier.send), "a", "b", "c")
    second.cancel()
    await asyncio.wait([second])
    await carrier.answers()
    await carrier.answers()

    assert await asyncio.gather(first, third) == [Appended(2)] * 2
    assert [len(call) for call in carrier.calls] == [1, 1]


async def test_whoever_goes_away_in_the_middle_leaves_the_way_free() -> None:
    carrier = Carrier()
    first, second = await _appending(Gathering(carrier.send), "a", "b")
    first.cancel()
    await asyncio.wait([first])
    await carrier.asked.get()
    await carrier.answers()

    assert await second == Appended(2)


async def test_a_call_is_bounded_in_parts_and_in_bytes() -> None:
    carrier = Carrier()
    gathering = Gathering(carrier.send)
    small = [f"s{number}" for number in range(MAX_PARTS + 2)]
    large = {"0" * 64: b"x" * MAX_BYTES}
    tasks = await _appending(gathering, *small)
    tasks += [asyncio.create_task(gathering.append(part(name, 1, blobs=large))) for name in ("l1", "l2")]
    await asyncio.sleep(0)
    for _ in range(5):
        await carrier.answers()

    await asyncio.gather(*tasks)
    assert [len(call) for call in carrier.calls] == [1, MAX_PARTS, 1, 1, 1]
