"""Session actors whose memory grows: replaced at rest, killed when it is too much, and no session pays for another's.

What makes them grow is put into the process, as a leak of a library would: what sessions hold themselves is bounded.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError

from actors import SessionConfig
from actors.cluster.links import actor_named
from tests.integration.crash_site import BOUND_S, Gate, actors_of
from tests.integration.runtimes import MakeRuntime
from tests.integration.waiting import until_told

MB = 1024 * 1024


def _grow(actor: Any) -> None:
    actor.leaked = b"x" * (400 * MB)


async def test_an_actor_that_grows_too_far_is_killed_and_the_turns_of_all_its_sessions_go_on_elsewhere(
    fresh_runtime: MakeRuntime, permissive: SessionConfig, tmp_path: Path
) -> None:
    limits: dict[str, Any] = {"actor_memory_mb": 0, "actor_memory_max_mb": 400, "activation_wait_s": BOUND_S}
    manager = await fresh_runtime(sessions_per_actor=2, min_warm=1, max_resident=1, **limits)
    gates = {name: Gate(_made(tmp_path / name)) for name in ("poison", "other")}
    sessions = {name: await manager.create_session(name, permissive) for name in gates}
    await sessions["poison"].add_message("I hold more than the other. " * 100)
    turns = {name: asyncio.create_task(sessions[name].generate(gates[name].prompt(name))) for name in gates}
    for gate in gates.values():
        await gate.begun()
    homes = {(await session.resolve()).actor for session in sessions.values()}
    (home,) = [await actor.ping.remote() for actor in homes][:1]

    await next(iter(homes)).__ray_call__.remote(_grow)

    async def apart() -> bool:
        found = [(await session.resolve()).actor for session in sessions.values()]
        names = set[str]()
        with suppress(RayActorError):
            names = {await one.ping.remote() for one in found if one is not None}
        return len(names) == len(sessions) and home not in names

    await until_told(apart, what="the sessions live in different actors", within_s=BOUND_S)
    for name, gate in gates.items():
        await gate.open()
        assert (await asyncio.wait_for(turns[name], BOUND_S)).text == name
        assert gate.lines == ["begin", "end"], "the tool ran once"


async def test_an_actor_that_has_grown_is_replaced_while_its_session_rests(
    fresh_runtime: MakeRuntime, permissive: SessionConfig
) -> None:
    manager = await fresh_runtime(min_warm=1, max_resident=1, actor_memory_mb=400, activation_wait_s=BOUND_S)
    session = await manager.create_session("grown", permissive)
    await session.generate("before", timeout=BOUND_S)
    await session.resolve()
    home = await session.actor.ping.remote()

    await session.actor.__ray_call__.remote(_grow)

    async def replaced() -> bool:
        return actor_named(home) is None and bool(actors_of(manager.settings.runtime, "session"))

    await until_told(replaced, what="another session actor has taken its place", within_s=BOUND_S)
    assert (await session.generate("after", timeout=BOUND_S)).text == "after"
    assert [message.text for message in await session.history()] == ["before", "before", "after", "after"]


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
