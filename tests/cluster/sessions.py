"""How these tests get sessions that are resident on the worker node."""

from __future__ import annotations

import asyncio
import secrets

from actors import AgentResult, SessionConfig, SessionHandle, SessionManager
from actors.domain import records as r
from actors.errors import StoreUnavailable
from tests.cluster.raylets import Raylets

BOUND_S = 60.0
"""Longest wait for anything: far beyond what a recovery takes on a loaded machine."""


async def answered(session: SessionHandle, prompt: str, command_id: str | None = None) -> AgentResult:
    """The answer, of one input that is given again while the store cannot take it."""
    command_id = command_id or secrets.token_hex(8)
    async with asyncio.timeout(BOUND_S):
        while True:
            try:
                return await session.generate(prompt, command_id=command_id)
            except StoreUnavailable as error:
                await asyncio.sleep(error.retry_after_s or 0)


class Sessions:
    """Sessions of one test."""

    def __init__(self, manager: SessionManager, raylets: Raylets, config: SessionConfig) -> None:
        self._manager = manager
        self._raylets = raylets
        self._config = config
        self._made: list[SessionHandle] = []

    async def new(self, **config: object) -> SessionHandle:
        """A session, anywhere."""
        session = await self._manager.create_session(f"s-{secrets.token_hex(4)}", self._config.changed(**config))
        self._made.append(session)
        return session

    async def on_worker(self, **config: object) -> SessionHandle:
        """A session that has had a turn and is resident on the worker."""
        await self._raylets.worker()
        passed: list[SessionHandle] = []
        async with asyncio.timeout(BOUND_S):
            while True:
                session = await self.new(**config)
                await session.generate("hello", timeout=BOUND_S)
                if await self.is_on_worker(session):
                    break
                passed.append(session)
        for one in passed:
            await one.hibernate()
        return session

    async def is_on_worker(self, session: SessionHandle) -> bool:
        """Whether the session is resident on the worker now."""
        return self._raylets.runs(await self.pid(session))

    async def pid(self, session: SessionHandle) -> int:
        """The process in which the session is resident."""
        await session.resolve()
        return await session.actor.pid.remote()

    async def destroy(self) -> None:
        """End them all."""
        for session in self._made:
            await self._manager.destroy_session(session.session_id)


async def started(session: SessionHandle) -> list[r.ToolCallStarted]:
    """The tool calls of a session, attempt by attempt."""
    return [one for one in await session.records(limit=1000) if isinstance(one, r.ToolCallStarted)]


async def assert_gapless(session: SessionHandle) -> None:
    """The journal has every seq from 1 on."""
    records = await session.records(limit=1000)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
