"""Processes that look for the registry while it is replaced; the actors are stand-ins, so no cluster is needed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from pydantic import SecretStr

from actors.cluster import registry_link
from actors.cluster.registry_door import RegistryDoor
from actors.cluster.registry_link import RegistryLink
from actors.cluster.wardens import StoreWarden
from actors.errors import Superseded, TransportLost
from actors.peers import Peer, RuntimeInfo, World
from actors.residency.vigil import RegistryWarden

SILENCE_S = 60.0
"""Nobody falls silent here."""


class Method:
    """A method of an actor, as Ray offers it."""

    def __init__(self, run: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self.remote = run


class StoreHandle:
    """The store actor, as a registry reaches it."""

    def __init__(self) -> None:
        self.warden = RegistryWarden(_nobody)
        self.beat = Method(self._beat)
        self.registry = Method(self._registry)

    async def _beat(self, registry: str, term: int, silence_s: float) -> None:
        self.warden.hear(registry, term, silence_s)

    async def _registry(self) -> str:
        return self.warden.registry


async def _nobody(registry: str) -> None:
    raise AssertionError(f"{registry} is well")


async def test_a_registry_learns_from_its_sign_of_life_that_another_has_taken_over() -> None:
    store, told = StoreHandle(), list[Superseded]()
    try:
        older = StoreWarden(store, "older", 1, SILENCE_S, told.append)
        assert await older.ask()
        assert await StoreWarden(store, "newer", 2, SILENCE_S, told.append).ask()
        assert told == []

        with pytest.raises(Superseded):
            await older.ask()

        assert [(one.term, one.newest) for one in told] == [(1, 2)]
    finally:
        store.warden.close()


class RegistryHandle:
    """A registry as Ray shows it; ``answer`` is what it says, or why it says nothing."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.status = self.open = Method(self._status)

    async def _status(self) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


INFO = RuntimeInfo(
    runtime="r",
    token=SecretStr("t"),
    store=Peer(name="store", node_id="n"),
    registry=Peer(name="older", node_id="n"),
    term=1,
    world=World(),
)


@pytest.mark.parametrize(
    "ended", [Superseded(1, 2), TransportLost("the registry"), None], ids=["ending", "dead", "gone"]
)
async def test_who_asks_an_older_registry_is_answered_by_the_newer(
    monkeypatch: pytest.MonkeyPatch, ended: Exception | None
) -> None:
    store = StoreHandle()
    store.warden.hear("newer", 2, SILENCE_S)
    actors: dict[str, Any] = {"store": store, "newer": RegistryHandle("the newer one")}
    if ended is not None:
        actors["older"] = RegistryHandle(ended)
    monkeypatch.setattr(registry_link, "actor_named", actors.get)
    try:
        assert await RegistryLink(INFO).ask("status") == "the newer one"
    finally:
        store.warden.close()


async def test_a_registry_that_presents_itself_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    actors = {"older": RegistryHandle("the older one"), "newer": RegistryHandle("the newer one")}
    monkeypatch.setattr(registry_link, "actor_named", actors.get)
    link = RegistryLink(INFO)
    assert await link.ask("status") == "the older one"

    link.follow(INFO.model_copy(update={"registry": Peer(name="newer", node_id="n"), "term": 2}))

    assert await link.ask("status") == "the newer one"


class Lines:
    """Connections to registries by name: one that is not among the ``answers`` is lost in the middle of a call."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers
        self.dropped: list[str] = []

    def to(self, peer: Peer) -> Any:
        answers = self._answers

        class Caller:
            async def call(self, method: str, /, **args: Any) -> Any:
                if peer.name not in answers:
                    raise TransportLost(peer.name)
                return method, args, answers[peer.name]

        return Caller()

    async def drop(self, peer: Peer) -> None:
        self.dropped.append(peer.name)


async def test_what_a_registry_that_died_was_asked_the_next_one_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = INFO.model_copy(update={"registry": Peer(name="newer", node_id="n")})
    registry = RegistryHandle(newer)
    monkeypatch.setattr(registry_link, "actor_named", {"older": registry}.get)
    lines = Lines({"newer": "the newer one"})
    door = RegistryDoor(RegistryLink(INFO), cast("Any", lines), INFO.registry)

    assert await door.call("resolve", stale=3) == ("resolve", {"stale": 3}, "the newer one")

    assert lines.dropped == ["older"]
