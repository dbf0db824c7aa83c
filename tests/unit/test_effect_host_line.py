"""The line of calls that wait for a place at a host: lanes by urgency, ageing, and no place lost."""

from __future__ import annotations

import asyncio

import pytest

from actors.domain.calls import HostRef, ToolCall
from actors.domain.policies import SessionLane
from actors.effect_host.line import Line


def _call(name: str, lane: SessionLane, full_after_s: float | None = None) -> ToolCall:
    return ToolCall(
        call_id=name,
        tenant="default",
        journal_id="J",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=HostRef(host_id="h", incarnation="i"),
        tool_use_id="u",
        name="act",
        args={},
        priority=lane.priority,
        full_after_s=full_after_s,
    )


class Places:
    """A line with one place, which the test gives and takes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.line = Line(1, lambda: self.now)
        self.order: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.ends: dict[str, asyncio.Event] = {}

    async def come(self, name: str, lane: SessionLane, full_after_s: float | None = None) -> None:
        call = _call(name, lane, full_after_s)
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, call))
        await asyncio.sleep(0)

    async def _stay(self, name: str, call: ToolCall) -> None:
        async with self.line.place(call):
            self.order.append(name)
            await self.ends[name].wait()

    async def leave(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0)

    async def all_leave(self) -> list[str]:
        for place, _ in enumerate(self.tasks):
            await self.leave(self.order[place])
        return self.order


async def test_the_most_urgent_lane_goes_first_and_equals_in_the_order_they_came() -> None:
    places = Places()
    await places.come("busy", SessionLane.execute)
    for lane in reversed(SessionLane):
        await places.come(lane.value, lane)
    await places.come("execute again", SessionLane.execute)
    assert await places.all_leave() == ["busy", "control", "query", "execute", "execute again", "generate"]


@pytest.mark.parametrize(("full_after_s", "first"), [(100.0, "patient"), (None, "newcomer")])
async def test_who_has_waited_long_enough_is_not_overtaken_any_more(full_after_s: float | None, first: str) -> None:
    places = Places()
    await places.come("busy", SessionLane.execute)
    await places.come("patient", SessionLane.generate, full_after_s)
    places.now = 100.0
    await places.come("newcomer", SessionLane.query, full_after_s)
    assert (await places.all_leave())[1] == first


async def test_who_leaves_the_line_takes_no_place_and_loses_none() -> None:
    places = Places()
    await places.come("busy", SessionLane.execute)
    await places.come("gone", SessionLane.query)
    await places.come("next", SessionLane.execute)
    places.tasks["gone"].cancel()
    await asyncio.wait([places.tasks["gone"]])
    await places.leave("busy")
    assert places.order == ["busy", "next"]
    await places.leave("next")
    await places.come("last", SessionLane.execute)
    assert places.order[-1] == "last"
    await places.leave("last")


async def test_a_place_given_to_somebody_who_leaves_at_that_moment_goes_on_to_the_next() -> None:
    places = Places()
    async with places.line.place(_call("busy", SessionLane.execute)):
        await places.come("gone", SessionLane.query)
        await places.come("next", SessionLane.execute)
    places.tasks["gone"].cancel()
    await asyncio.wait([places.tasks["gone"]])
    await asyncio.sleep(0)
    assert places.order == ["next"]
    await places.leave("next")
