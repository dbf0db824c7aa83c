"""A file system that is really full under a running service: nothing acknowledged is lost, and it heals by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from pathlib import Path

from actors import Receipt, SessionConfig, SessionHandle
from actors.errors import StoreUnavailable
from tests.disks import small_disk
from tests.integration.crash_site import BOUND_S, Gate, kill_all
from tests.integration.runtimes import MakeRuntime

FAILED = "session.persistence_failed"


class Talker:
    """Gives a session one input after the other, each again until it is acknowledged.

    Args:
        session: Who is talked to.
    """

    def __init__(self, session: SessionHandle) -> None:
        self.acknowledged: list[str] = []
        self._session = session
        self._enough = False
        self._task = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        number = 0
        while not self._enough:
            command_id = f"{self._session.session_id}-{number}"
            # Also the last one: what was refused may be durable all the same, as long as nobody has asked again.
            receipt = await self._acknowledged(command_id)
            self.acknowledged.append(command_id)
            await self._session.wait_turn(receipt)
            number += 1

    async def _acknowledged(self, command_id: str) -> Receipt:
        while True:
            try:
                return await self._session.send("hello", command_id=command_id)
            except StoreUnavailable as error:
                assert error.retry_after_s

    async def finish(self) -> None:
        """End with the turn that is under way."""
        self._enough = True
        async with asyncio.timeout(BOUND_S):
            await self._task


async def _told(session: SessionHandle) -> None:
    async with asyncio.timeout(BOUND_S), aclosing(session.events(follow=True)) as events:
        async for event in events:
            if event.type == FAILED:
                return


async def _assert_exact(session: SessionHandle, acknowledged: list[str]) -> None:
    records = await session.records(limit=1000)
    assert [one.seq for one in records] == list(range(1, len(records) + 1))
    inputs = Counter(one.cause for one in records if one.type == "user.message")
    assert inputs == Counter(acknowledged)


async def test_a_disk_that_is_full_for_a_while_costs_nothing_but_time(
    fresh_runtime: MakeRuntime, permissive: SessionConfig, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        manager = await fresh_runtime(directory=disk.path / "store", min_warm=2, activation_wait_s=BOUND_S)
        try:
            gate = Gate(tmp_path)
            held = await manager.create_session("held", permissive)
            idle = await manager.create_session("idle", permissive)
            talkers = {one: Talker(await manager.create_session(one, permissive)) for one in ("talk-1", "talk-2")}
            receipt = await held.send(gate.prompt("survived"), command_id="held")
            await gate.begun()
            telling = asyncio.create_task(_told(held))

            disk.fill()
            await gate.open()

            await telling
            refusing = (idle.send("x"), held.send("x"), manager.create_session("another"))
            async with asyncio.timeout(BOUND_S):
                for refused in await asyncio.gather(*refusing, return_exceptions=True):
                    assert isinstance(refused, StoreUnavailable)
                    assert refused.retry_after_s
            # Started again on the full disk, it cannot always open its database; it goes on trying.
            await kill_all(manager.settings.runtime, "store")
            disk.free()

            assert (await held.wait_turn(receipt, timeout=BOUND_S)).text == "survived"
            assert gate.lines == ["begin", "end"], "the tool ran once"
            for talker in talkers.values():
                await talker.finish()
                assert len(talker.acknowledged) > 0
            for session_id, talker in talkers.items():
                await _assert_exact(await manager.get_session(session_id), talker.acknowledged)
            await idle.generate("hello", timeout=BOUND_S)
            assert [one.type for one in await held.records(limit=1000)].count("tool.call.completed") == 1
        finally:
            await manager.close()
