"""Sessions that are talked to while their store fails, and what must be true of them afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from actors import PermissionPolicy, Receipt, SessionConfig, SessionHandle, SessionManager
from actors.errors import StoreUnavailable
from tests.integration.crash_site import BOUND_S, Gate, kill_all

FAILED = "session.persistence_failed"


class Talker:
    """Gives a session one input after the other, each again until it is acknowledged.

    Args:
        session: Who is talked to.
    """

    def __init__(self, session: SessionHandle) -> None:
        self.acknowledged: list[str] = []
        self.session = session
        self._enough = False
        self._task = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        number = 0
        while not self._enough:
            command_id = f"{self.session.session_id}-{number}"
            # Also the last one: what was refused may be durable all the same, as long as nobody has asked again.
            receipt = await self._acknowledged(command_id)
            self.acknowledged.append(command_id)
            await self._ended(receipt)
            number += 1

    async def _acknowledged(self, command_id: str) -> Receipt:
        while True:
            try:
                return await self.session.send("hello", command_id=command_id)
            except StoreUnavailable as error:
                assert error.retry_after_s

    async def _ended(self, receipt: Receipt) -> None:
        while True:
            try:
                await self.session.wait_turn(receipt)
                return
            except StoreUnavailable as error:
                # The turn has ended, and what it came to cannot be read: of a server that is away, nothing can.
                assert error.retry_after_s

    async def finish(self) -> None:
        """End with the turn that is under way."""
        self._enough = True
        async with asyncio.timeout(BOUND_S):
            await self._task


async def _told(session: SessionHandle, following: asyncio.Event) -> None:
    async with asyncio.timeout(BOUND_S), aclosing(session.events(follow=True)) as events:
        async for event in events:
            following.set()
            if event.type == FAILED:
                return


async def _assert_exact(session: SessionHandle, acknowledged: list[str]) -> None:
    assert len(acknowledged) > 0
    records = await session.records(limit=1000)
    assert [one.seq for one in records] == list(range(1, len(records) + 1))
    inputs = Counter(one.cause for one in records if one.type == "user.message")
    assert inputs == Counter(acknowledged)


async def _assert_refused(manager: SessionManager, *sessions: SessionHandle) -> None:
    refusing = (*(one.send("x") for one in sessions), manager.create_session("another"))
    async with asyncio.timeout(BOUND_S):
        for refused in await asyncio.gather(*refusing, return_exceptions=True):
            assert isinstance(refused, StoreUnavailable)
            assert refused.retry_after_s


async def assert_costs_nothing_but_time(
    manager: SessionManager, directory: Path, begin: Callable[[], None], end: Callable[[], None]
) -> None:
    """While sessions are talked to and a tool runs, let the store fail, its actor die, and the store heal.

    Args:
        manager: Of a runtime of its own.
        directory: An empty one.
        begin: Makes the store unable to write.
        end: Makes it able again.
    """
    permissive = SessionConfig(permission_policy=PermissionPolicy.permissive())
    gate = Gate(directory)
    held = await manager.create_session("held", permissive)
    idle = await manager.create_session("idle", permissive)
    talkers = [Talker(await manager.create_session(one, permissive)) for one in ("talk-1", "talk-2")]
    receipt = await held.send(gate.prompt("survived"), command_id="held")
    await gate.begun()
    following = asyncio.Event()
    telling = asyncio.create_task(_told(held, following))
    await following.wait()

    begin()
    await gate.open()

    await telling
    await _assert_refused(manager, idle, held)
    # Started again while the store fails, it cannot always open it; it goes on trying.
    await kill_all(manager.settings.runtime, "store")
    end()

    assert (await held.wait_turn(receipt, timeout=BOUND_S)).text == "survived"
    assert gate.lines == ["begin", "end"], "the tool ran once"
    for talker in talkers:
        await talker.finish()
        await _assert_exact(talker.session, talker.acknowledged)
    await idle.generate("hello", timeout=BOUND_S)
    assert [one.type for one in await held.records(limit=1000)].count("tool.call.completed") == 1
