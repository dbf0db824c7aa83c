"""Registries that are replaced: by another of the same runtime, and in the middle of what they do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from actors import SessionConfig, SessionManager
from actors.cluster.host_actors import HostActors, Toolbox
from actors.cluster.launch import HEAD, Launch, remote_class
from actors.cluster.links import actor_named
from actors.errors import TransportLost
from actors.registry_actor import RegistryActor
from tests.integration.crash_site import BOUND_S, Gate, actors_of, kill_all
from tests.integration.processes import none_left
from tests.integration.runtimes import NewId

COMING_AND_GOING = 5
"""Sessions that want to be resident: more than there are warm session actors for."""


class Stumbling(RegistryActor):
    """A registry whose first attempt fails late: a tool host that it has found dies before it answers."""

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        toolbox = HostActors.toolbox

        async def once(self: HostActors, node_id: str) -> Toolbox:
            HostActors.toolbox = toolbox
            raise TransportLost(node_id)

        HostActors.toolbox = once

    async def watches(self) -> int:
        """How many watches over the store there are."""
        return sum("StoreWarden.watch" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def _another_registry(manager: SessionManager, kind: type[RegistryActor] = RegistryActor) -> Any:
    """One more, under another name, which takes itself for the only one."""
    info = await actor_named(_only(actors_of(manager.settings.runtime, "registry"))).open.remote()
    launch = Launch(
        settings=manager.settings,
        store_url="memory:",
        model=info.world.default_model,
        tools=(),
        token=info.token,
        workspace=info.world.workspace,
    )
    name = launch.name("registry")
    return remote_class(kind, name, max_restarts=-1, resources=HEAD).remote(launch)


def _only(names: list[str]) -> str:
    (name,) = names
    return name


async def test_of_two_registries_the_older_ends_and_no_turn_fails(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    runtime = crashing.settings.runtime
    first = actor_named(_only(actors_of(runtime, "registry")))
    pid = await first.pid.remote()
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive)
    waiting = asyncio.create_task(session.generate(gate.prompt("survived"), timeout=BOUND_S))
    await gate.begun()

    second = await _another_registry(crashing)
    await second.open.remote()

    dead: str = await _death(first)
    assert "INTENDED" in dead, "it ended by itself, and Ray does not start it again"
    assert await asyncio.to_thread(none_left, [pid], BOUND_S) == []
    await gate.open()
    assert (await waiting).text == "survived"
    assert gate.lines == ["begin", "end"]
    # A dormant session has to be resolved, and only the second can.
    await session.hibernate()
    assert (await session.generate("after", timeout=BOUND_S)).text == "after"
    assert actor_named(_only(actors_of(runtime, "registry"))) == second


async def test_an_attempt_to_take_over_that_fails_leaves_nothing_behind(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    first = actor_named(_only(actors_of(crashing.settings.runtime, "registry")))
    second = await _another_registry(crashing, Stumbling)
    with pytest.raises(TransportLost):
        await second.open.remote()

    await second.open.remote()

    # A second watch, of the term of the first attempt, would hear that it was replaced, and end its own registry.
    assert await second.watches.remote() == 1
    assert "INTENDED" in await _death(first)
    session = await crashing.create_session(new_id(), permissive)
    assert (await session.generate("after", timeout=BOUND_S)).text == "after"


async def test_a_registry_that_dies_while_sessions_come_and_go_loses_none(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    sessions = [await crashing.create_session(new_id(), permissive) for _ in range(COMING_AND_GOING)]
    for round_no in range(2):
        # Half of them are on their way to a session actor, and the others are asked to leave theirs.
        asked = [asyncio.create_task(one.generate(f"round {round_no}", timeout=BOUND_S)) for one in sessions]
        leaving = [asyncio.create_task(one.hibernate()) for one in sessions[::2]]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        await kill_all(crashing.settings.runtime, "registry")

        assert [one.text for one in await asyncio.gather(*asked)] == [f"round {round_no}"] * COMING_AND_GOING
        await asyncio.gather(*leaving)
    for one in sessions:
        texts = [message.text for message in await one.history()]
        assert texts == ["round 0", "round 0", "round 1", "round 1"]


async def _death(registry: Any) -> str:
    """How a registry died, once it has."""
    async with asyncio.timeout(BOUND_S):
        while True:
            try:
                await registry.pid.remote()
            except ActorDiedError as exc:
                return str(exc)
            await asyncio.sleep(0.05)
