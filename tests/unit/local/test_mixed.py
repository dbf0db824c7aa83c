"""Many operations on one session at once, by several who know nothing of each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from actors.domain import records as r
from actors.errors import GreenroomError, SessionBusy, SessionPaused
from actors.handle import SessionHandle
from tests.unit.local.runtimes import config, records, runtime, says

_EXPECTED = (SessionBusy, SessionPaused)
"""What an operation may meet when others work on the same session."""

_MIX: tuple[Callable[[SessionHandle, int], Awaitable[Any]], ...] = (
    lambda handle, number: handle.send(f"input {number}", command_id=f"send-{number}"),
    lambda handle, number: handle.add_message(f"note {number}", command_id=f"note-{number}"),
    lambda handle, number: handle.configure(name=f"name {number}", command_id=f"name-{number}"),
    lambda handle, number: handle.set_tasks([{"id": str(number), "content": "x"}], command_id=f"tasks-{number}"),
    lambda handle, number: handle.add_permission_rule("allow", f"tool{number}", command_id=f"rule-{number}"),
    lambda handle, _: handle.pause(),
    lambda handle, _: handle.resume(),
    lambda handle, _: handle.cancel(),
    lambda handle, _: handle.clear(),
    lambda handle, _: handle.hibernate(),
    lambda handle, _: handle.history(),
)


async def _tried(act: Awaitable[Any]) -> GreenroomError | None:
    try:
        await act
    except GreenroomError as error:
        return error
    return None


@pytest.mark.parametrize("seed", range(3))
async def test_many_mixed_operations_at_once_give_one_journal_that_explains_itself(seed: int) -> None:
    async with runtime() as manager:
        await manager.create_session("s", config(says("yes")))
        drivers = [await manager.get_session("s") for _ in range(5)]
        wanted = [(number, _MIX[(number * 7 + seed) % len(_MIX)]) for number in range(55)]
        tried = await asyncio.gather(*(_tried(act(drivers[n % 5], n)) for n, act in wanted))
        await drivers[0].resume()
        await drivers[0].generate("the end")

        refused = {number for (number, _), error in zip(wanted, tried, strict=True) if error is not None}
        assert not [error for error in tried if error is not None and not isinstance(error, _EXPECTED)]
        journal = await drivers[0].records(limit=1000)
        assert [one.seq for one in journal] == list(range(1, len(journal) + 1))
        told = {one.cause for one in journal}
        for number, act in wanted:
            if act in _MIX[:5]:
                name = ("send", "note", "name", "tasks", "rule")[_MIX.index(act)]
                assert (f"{name}-{number}" in told) == (number not in refused), f"{name}-{number}"
        sent = [one.data.input_id for one in await records(drivers[0], r.UserMessage)]
        taken = [name for one in await records(drivers[0], r.TurnStarted) for name in one.data.inputs]
        assert taken == sent
        ends = [one for one in journal if isinstance(one, r.TurnCompleted | r.TurnCancelled)]
        assert len(ends) == len(await records(drivers[0], r.TurnStarted))
        assert len((await drivers[0].permission_policy()).allow) == sum(act is _MIX[4] for _, act in wanted)
