"""The roster of MCP servers: whatever happens at the same time, what runs is what is listed and kept."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from actors.domain.calls import HostRef
from actors.domain.mcp import KnownServer, McpOffer, McpServerConfig, McpState, status_of
from actors.errors import SessionNotFound
from actors.mcp.roster import Roster
from actors.mcp.running import Key, Running
from actors.session.ports import Store

CONFIG = McpServerConfig.model_validate({"name": "x", "transport": "stdio", "command": "true"})
SHARED = Key.of("acme", "", "x")


class Kept:
    """The part of a store that a roster uses; no session is in it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], KnownServer] = {}

    async def put_server(self, tenant: str, journal_id: str, name: str, known: KnownServer | None) -> None:
        self.rows.pop((tenant, journal_id, name), None)
        if known is not None:
            self.rows[tenant, journal_id, name] = known

    async def row(self, tenant: str, journal_id: str) -> None:
        return None


class Live:
    """Servers that connect when ``gate`` is open, and that end when it is."""

    def __init__(self) -> None:
        self.now: set[Running] = set()
        self.begun = 0
        self.gate = asyncio.Event()

    async def start(self, key: Key, config: McpServerConfig) -> Running:
        live = self

        class One:
            host = HostRef(host_id="mcp", incarnation="1")

            async def first(self) -> McpOffer:
                await live.gate.wait()
                return await self.offer()

            async def offer(self) -> McpOffer:
                return McpOffer(status=status_of(config, McpState.connected))

            async def close(self) -> None:
                await live.gate.wait()
                live.now.discard(self)

        self.begun += 1
        one = One()
        self.now.add(one)
        return one


class Scene:
    """A roster over both."""

    def __init__(self) -> None:
        self.kept = Kept()
        self.live = Live()
        self.roster = Roster(cast("Store", self.kept), self.live.start, self._told)

    async def _told(self) -> None:
        return None

    async def come_to_an_end(self, *tasks: asyncio.Task[Any]) -> None:
        self.live.gate.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)
        await _quiet()


async def _quiet() -> None:
    """Everybody who can go on has gone on."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_server_that_is_added_while_it_is_being_removed_is_listed_kept_and_runs_once() -> None:
    scene = Scene()
    tasks: list[asyncio.Task[Any]] = []
    for what in (
        scene.roster.add(SHARED, None, CONFIG),
        scene.roster.remove(SHARED),
        scene.roster.add(SHARED, None, CONFIG),
    ):
        tasks.append(asyncio.create_task(what))
        await _quiet()
    await scene.come_to_an_end(*tasks)
    assert len(scene.live.now) == len(scene.roster.status("acme")) == len(scene.kept.rows) == 1
    assert scene.live.begun == 2


async def test_no_server_is_left_of_a_session_that_is_destroyed_while_one_is_added_to_it() -> None:
    scene = Scene()
    scene.live.gate.set()
    await scene.roster.forget("journal")
    with pytest.raises(SessionNotFound):
        await scene.roster.add(Key.of("acme", "journal", "x"), "s", CONFIG)
    assert not scene.live.begun and not scene.roster.status("acme") and not scene.kept.rows
