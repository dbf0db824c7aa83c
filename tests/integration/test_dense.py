"""Several sessions in one actor: nobody can tell from outside, not even when the actor dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

from actors import SessionConfig, SessionHandle
from tests.integration.crash_site import BOUND_S, Gate, kill
from tests.integration.runtimes import MakeRuntime

DENSITY = 4


async def test_sessions_that_share_an_actor_behave_as_if_each_had_its_own(
    fresh_runtime: MakeRuntime, permissive: SessionConfig, tmp_path: Path
) -> None:
    manager = await fresh_runtime(sessions_per_actor=DENSITY, min_warm=1, max_resident=1)
    sessions = await manager.create_sessions([f"dense-{number}" for number in range(DENSITY)], permissive)
    assert await _said(sessions, "first") == ["first"] * DENSITY
    processes = {await session.actor.pid.remote() for session in [await one.resolve() for one in sessions]}
    assert len(processes) == 1
    assert len({session.residency for session in sessions}) == DENSITY

    # A fifth has room as soon as one that is idle gives its place up; that one comes back with what it knew.
    guest = await manager.create_session("guest", permissive)
    assert (await guest.generate("hello", timeout=BOUND_S)).text == "hello"
    assert await _said(sessions, "second") == ["second"] * DENSITY

    gate = Gate(tmp_path)
    waiting = asyncio.create_task(sessions[0].generate(gate.prompt("survived"), timeout=BOUND_S))
    await gate.begun()
    await sessions[0].resolve()
    await kill(sessions[0].actor)
    await gate.open()

    assert (await waiting).text == "survived"
    assert gate.lines == ["begin", "end"], "the tool ran once"
    texts = [[message.text for message in await session.history()] for session in sessions[1:]]
    assert texts == [["first", "first", "second", "second"]] * (DENSITY - 1)
    assert await _said(sessions, "third") == ["third"] * DENSITY


async def _said(sessions: list[SessionHandle], prompt: str) -> list[str]:
    results = await asyncio.gather(*(session.generate(prompt, timeout=BOUND_S) for session in sessions))
    return [result.text for result in results]
