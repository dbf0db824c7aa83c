"""The roster of MCP servers: whatever happens at the same time, what runs is what is listed and kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actors.domain.calls import HostRef
from actors.domain.mcp import KnownServer, McpOffer, McpServerConfig, McpState, status_of
from actors.domain.mcp_oauth import Redirect
from actors.errors import (
    AuthorizationNotFound,
    HostGone,
    InvalidConfig,
    McpServerExists,
    SessionNotFound,
    StoreUnavailable,
)
from actors.mcp.keeping import WAITED_FOR_S
from actors.mcp.roster import SWEEP_S, Roster
from actors.mcp.running import STEADY_S, Key, Running, Server
from actors.session.ports import Store

CONFIG = McpServerConfig.model_validate({"name": "x", "transport": "stdio", "command": "true"})
SHARED = Key.of("acme", "", "x")


class Kept:
    """The part of a store that a roster uses.

    Attributes:
        sessions: Ids of the sessions that there are, by journal id.
        away: What cannot be asked for: journal ids, or ``servers``.
        slow: Whoever asks for a session waits for this, if it is there.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], KnownServer] = {}
        self.sessions: dict[str, str] = {}
        self.away: set[str] = set()
        self.slow: asyncio.Event | None = None

    async def put_server(self, tenant: str, journal_id: str, name: str, known: KnownServer | None) -> None:
        self._ask("servers")
        self.rows.pop((tenant, journal_id, name), None)
        if known is not None:
            self.rows[tenant, journal_id, name] = known

    async def servers(self) -> tuple[tuple[str, str, KnownServer], ...]:
        self._ask("servers")
        return tuple((tenant, journal_id, known) for (tenant, journal_id, _), known in self.rows.items())

    async def row(self, tenant: str, journal_id: str) -> Any:
        self._ask(journal_id)
        if self.slow is not None:
            await self.slow.wait()
        found = self.sessions.get(journal_id)
        return SimpleNamespace(session_id=found) if found else None

    def _ask(self, what: str) -> None:
        if what in self.away:
            raise StoreUnavailable("away")


class One:
    """A server that runs; see ``Live``."""

    host = HostRef(host_id="mcp", incarnation="1")

    def __init__(self, live: Live, config: McpServerConfig) -> None:
        self._live = live
        self._config = config

    async def first(self) -> McpOffer:
        await self._live.gate.wait()
        return await self.offer()

    async def offer(self) -> McpOffer:
        if self._live.silent:
            raise HostGone("mcp", "it is silent")
        return McpOffer(status=status_of(self._config, self._live.state))

    async def authorized(self, redirect: Redirect) -> bool:
        del redirect
        return False

    async def leave(self, journal_id: str) -> None:
        raise AssertionError(f"{journal_id} had nothing here")

    async def close(self) -> None:
        await self._live.gate.wait()
        self._live.now.discard(self)


class Live:
    """Servers that connect when ``gate`` is open, and that end when it is.

    Attributes:
        begun: How often one was started.
        refused: How many of the next starts fail.
        silent: Those that run do not answer.
        state: How they stand.
    """

    def __init__(self) -> None:
        self.now: set[Running] = set()
        self.begun = 0
        self.refused = 0
        self.silent = False
        self.state = McpState.connected
        self.gate = asyncio.Event()

    async def start(self, key: Key, config: McpServerConfig) -> Running:
        self.begun += 1
        if self.refused:
            self.refused -= 1
            raise HostGone("mcp", "it is silent")
        one = One(self, config)
        self.now.add(one)
        return one


class Scene:
    """A roster over both; the gate is open unless a test closes it."""

    def __init__(self) -> None:
        self.kept = Kept()
        self.live = Live()
        self.live.gate.set()
        self.roster = Roster(cast("Store", self.kept), self.live.start, self._told)

    async def _told(self) -> None:
        return None

    async def keep(self, name: str, journal_id: str = "") -> Key:
        """The store knows a server since before."""
        key = Key.of("acme", journal_id, name)
        config = CONFIG.model_copy(update={"name": name})
        self.kept.rows[key] = config.without_secrets()
        return key

    def listed(self) -> list[str]:
        return [one.name for one in self.roster.status("acme") if one.state is McpState.connected]

    async def come_to_an_end(self, *tasks: asyncio.Task[Any]) -> None:
        self.live.gate.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)
        await quiet()


async def quiet() -> None:
    """Everybody who can go on has gone on."""
    for _ in range(50):
        await _breath(0)


_breath = asyncio.sleep


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    one = Scene()
    yield one
    one.live.gate.set()
    await one.roster.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made; none takes any time."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)
        await (_breath(0) if seconds < SWEEP_S else asyncio.Event().wait())

    monkeypatch.setattr("actors.mcp.keeping.asyncio.sleep", sleep)
    return made


async def test_a_server_that_is_added_while_it_is_being_removed_is_listed_kept_and_runs_once(scene: Scene) -> None:
    scene.live.gate.clear()
    tasks: list[asyncio.Task[Any]] = []
    for what in (
        scene.roster.add(SHARED, None, CONFIG),
        scene.roster.remove(SHARED),
        scene.roster.add(SHARED, None, CONFIG),
    ):
        tasks.append(asyncio.create_task(what))
        await quiet()
    await scene.come_to_an_end(*tasks)
    assert len(scene.live.now) == len(scene.roster.status("acme")) == len(scene.kept.rows) == 1
    assert scene.live.begun == 2


async def test_no_server_is_left_of_a_session_that_is_destroyed_while_one_is_added_to_it(scene: Scene) -> None:
    await scene.roster.forget("acme", "journal")
    with pytest.raises(SessionNotFound):
        await scene.roster.add(Key.of("acme", "journal", "x"), "s", CONFIG)
    assert not scene.live.begun and not scene.roster.status("acme") and not scene.kept.rows


async def test_a_server_ends_to_its_end_also_when_whoever_wanted_that_is_cancelled(scene: Scene) -> None:
    key = Key.of("acme", "", CONFIG.name)
    await scene.roster.add(key, None, CONFIG)
    scene.live.gate.clear()
    removing = asyncio.create_task(scene.roster.remove(key))
    await quiet()
    removing.cancel()
    closing = asyncio.create_task(scene.roster.close())
    await quiet()
    assert not closing.done()

    await scene.come_to_an_end(closing)

    assert removing.cancelled()
    assert not scene.live.now


@pytest.mark.parametrize("before", [(), (CONFIG,)], ids=["new", "in the place of another"])
async def test_a_server_is_added_to_the_end_also_when_whoever_wanted_that_is_cancelled(
    scene: Scene, before: tuple[McpServerConfig, ...]
) -> None:
    for config in before:
        await scene.roster.add(SHARED, None, config)
    scene.live.gate.clear()
    adding = asyncio.create_task(scene.roster.add(SHARED, None, CONFIG))
    await quiet()
    adding.cancel()

    await scene.come_to_an_end()

    assert scene.listed() == ["x"] and len(scene.live.now) == len(scene.kept.rows) == 1


async def test_nothing_is_left_of_a_server_that_is_being_added_when_all_is_closed(scene: Scene) -> None:
    scene.live.gate.clear()
    adding = asyncio.create_task(scene.roster.add(SHARED, None, CONFIG))
    await quiet()
    closing = asyncio.create_task(scene.roster.close())
    await quiet()

    await scene.come_to_an_end(closing)

    assert adding.cancelled() and not scene.live.now


async def test_a_name_is_taken_from_the_moment_that_somebody_begins_to_add_it(scene: Scene) -> None:
    scene.kept.sessions = {"j": "s"}
    scene.kept.slow = asyncio.Event()
    private = asyncio.create_task(scene.roster.add(Key.of("acme", "j", "x"), "s", CONFIG))
    await quiet()
    with pytest.raises(McpServerExists):
        await scene.roster.add(SHARED, None, CONFIG)
    scene.kept.slow.set()
    await scene.come_to_an_end(private)
    assert len(scene.live.now) == len(scene.kept.rows) == 1


async def test_the_servers_of_all_sessions_together_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.mcp.roster.MAX_ALL_SERVERS", 1)
    scene.kept.sessions = {"j": "s", "k": "t"}
    await scene.roster.add(Key.of("acme", "j", "x"), "s", CONFIG)
    await scene.roster.add(Key.of("acme", "j", "x"), "s", CONFIG)
    with pytest.raises(InvalidConfig, match="together"):
        await scene.roster.add(Key.of("acme", "k", "x"), "t", CONFIG)
    assert len(scene.live.now) == len(scene.kept.rows) == 1


async def test_a_server_that_was_forgotten_by_a_registry_which_died_before_it_ended_it_is_ended(scene: Scene) -> None:
    scene.kept.sessions = {"k": "t"}
    for journal_id in ("j", "k"):
        one = One(scene.live, CONFIG)
        scene.live.now.add(one)
        await scene.roster.adopt(Key.of("acme", journal_id, "x"), CONFIG, one)
    await scene.roster.load()
    assert len(scene.live.now) == 1


async def test_a_browser_that_nobody_waits_for_costs_no_server_a_question(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = McpServerConfig.model_validate({"name": "x", "transport": "http", "url": "https://mcp.example/"})
    await scene.roster.add(SHARED, None, config)
    asked: list[str] = []

    async def offer(one: One) -> McpOffer:
        asked.append("offer")
        return McpOffer(status=status_of(config, McpState.connected))

    monkeypatch.setattr(One, "offer", offer)
    with pytest.raises(AuthorizationNotFound):
        await scene.roster.authorized("acme", Redirect.of("https://here.example/?state=guessed&code=c"))
    assert not asked


async def test_one_server_that_cannot_be_taken_up_keeps_none_of_the_others_away(
    scene: Scene, pauses: list[float]
) -> None:
    scene.kept.sessions = {"j": "s", "k": "t"}
    await scene.keep("first", "j")
    await scene.keep("second")
    await scene.keep("third", "k")
    broken = await scene.keep("fourth")
    scene.kept.rows[broken] = KnownServer(config={"name": "fourth", "transport": "of the future"}, complete=True)
    scene.kept.away = {"j"}
    await scene.roster.load()
    await quiet()
    assert scene.listed() == ["second", "third"]
    scene.kept.away = set()
    await quiet()
    assert scene.listed() == ["first", "second", "third"]
    assert pauses[0] == 0.2 and pauses[-1] == SWEEP_S


async def test_what_is_asked_for_while_the_store_is_away_is_refused_and_changes_nothing(scene: Scene) -> None:
    await scene.keep("kept")
    scene.kept.away = {"servers"}
    await scene.roster.load()
    for what in (scene.roster.add(SHARED, None, CONFIG), scene.roster.remove(Key.of("acme", "", "kept"))):
        with pytest.raises(StoreUnavailable):
            await what
    assert not scene.live.begun and not scene.roster.status("acme")
    scene.kept.away = set()
    assert await scene.roster.remove(Key.of("acme", "", "kept")) is True
    assert (await scene.roster.add(SHARED, None, CONFIG)).connected
    assert len(scene.live.now) == len(scene.kept.rows) == 1


async def test_a_server_whose_session_is_gone_is_ended_and_forgotten_whoever_destroyed_it(scene: Scene) -> None:
    scene.kept.sessions = {"j": "s", "k": "t"}
    for journal_id, session_id in scene.kept.sessions.items():
        await scene.roster.add(Key.of("acme", journal_id, "x"), session_id, CONFIG)
    await scene.roster.add(Key.of("acme", "", "shared"), None, CONFIG.model_copy(update={"name": "shared"}))
    del scene.kept.sessions["j"]
    await scene.roster.sweep()
    assert [key[1:] for key in scene.kept.rows] == [("k", "x"), ("", "shared")]
    assert len(scene.live.now) == len(scene.roster.status("acme")) == 2


async def test_the_servers_of_sessions_that_went_while_nothing_ran_are_forgotten_at_the_start(scene: Scene) -> None:
    await scene.keep("x", "j")
    adopted = One(scene.live, CONFIG)
    scene.live.now.add(adopted)
    await scene.keep("y", "k")
    await scene.roster.adopt(Key.of("acme", "k", "y"), CONFIG, adopted)
    await scene.roster.load()
    assert not scene.kept.rows and not scene.live.now and not scene.live.begun


async def test_a_server_is_taken_over_with_its_secrets_also_when_neither_it_nor_the_store_answers(
    scene: Scene,
) -> None:
    scene.kept.sessions = {"j": "s"}
    key = await scene.keep("x", "j")
    scene.kept.away, scene.live.silent = {"j"}, True
    adopted = One(scene.live, CONFIG)
    await scene.roster.adopt(key, CONFIG, adopted)
    (status,) = scene.roster.status("acme")
    assert (status.state, status.session_id) == (McpState.connecting, "")
    scene.kept.away, scene.live.silent = set(), False
    await scene.roster.load()
    await scene.roster.sweep()
    await quiet()
    (status,) = scene.roster.status("acme")
    assert (status.state, status.session_id, scene.live.begun) == (McpState.connected, "s", 0)


async def test_whoever_keeps_a_server_connected_and_dies_again_and_again_is_replaced_ever_later(
    scene: Scene, pauses: list[float]
) -> None:
    await scene.roster.add(SHARED, None, CONFIG)
    for _ in range(10):
        scene.roster.lost(SHARED)
        (status,) = scene.roster.status("acme")
        assert "died soon" in (status.error or "")
        await quiet()
        assert scene.listed() == ["x"]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_after_a_long_life_the_next_one_comes_at_once() -> None:
    server = Server(CONFIG, None, since=100.0)
    server.lose(100.0 + STEADY_S)
    assert (server.pause_s, server.error) == (0.0, None)


async def test_who_asks_for_tools_waits_for_a_server_that_died_and_not_for_one_that_keeps_dying(
    scene: Scene, pauses: list[float]
) -> None:
    await scene.roster.load()
    await scene.roster.add(SHARED, None, CONFIG)
    scene.live.gate.clear()
    waited: list[bool] = []
    for _ in range(6):
        scene.roster.lost(SHARED)
        asking = asyncio.create_task(scene.roster.settled())
        await _breath(0)
        waited.append(not asking.done())
        await scene.come_to_an_end(asking)
    assert waited == [pause <= WAITED_FOR_S for pause in pauses[-6:]]
    assert waited == [True, True, True, True, False, False]


async def test_a_server_that_could_not_be_started_is_tried_again(scene: Scene, pauses: list[float]) -> None:
    scene.live.refused = 3
    status = await scene.roster.add(SHARED, None, CONFIG)
    assert status.state is McpState.connecting and status.error
    await quiet()
    assert (scene.listed(), pauses) == (["x"], [0.2, 0.4, 0.8])


async def test_one_that_was_started_and_does_not_answer_is_ended_before_the_next_is_started(
    scene: Scene, pauses: list[float]
) -> None:
    scene.live.silent = True
    await scene.roster.add(SHARED, None, CONFIG)
    scene.live.silent = False
    await quiet()
    assert len(scene.live.now) == 1 < scene.live.begun


async def test_what_a_server_could_not_be_asked_when_it_had_news_is_asked_again(scene: Scene) -> None:
    await scene.roster.add(SHARED, None, CONFIG)
    scene.live.state, scene.live.silent = McpState.reconnecting, True
    scene.roster.look(SHARED)
    await quiet()
    assert scene.listed() == ["x"]
    scene.live.silent = False

    await scene.roster.sweep()
    await quiet()

    assert scene.listed() == []


async def test_a_sweep_does_not_bring_back_what_was_removed_since_it_read_of_it(scene: Scene) -> None:
    scene.kept.sessions = {"j": "s"}
    key = Key.of("acme", "j", "x")
    await scene.roster.add(key, "s", CONFIG)
    scene.kept.slow = asyncio.Event()
    sweep = asyncio.create_task(scene.roster.sweep())
    await quiet()
    scene.kept.slow, slow = None, scene.kept.slow
    assert await scene.roster.remove(key)
    slow.set()
    await scene.come_to_an_end(sweep)
    assert not scene.roster.status("acme") and not scene.live.now and not scene.kept.rows
