"""A node is lost or frozen with turns open on it: they go on elsewhere, and nothing is done twice."""

from __future__ import annotations

from pathlib import Path

from actors import SessionManager
from actors.domain.actions import ActionKind
from tests.cluster.raylets import Raylets
from tests.cluster.sessions import BOUND_S, Sessions, assert_gapless
from tests.integration.crash_site import Gate
from tests.integration.waiting import action_of


async def test_the_turns_of_a_killed_node_go_on_elsewhere_and_its_tools_are_not_run_again(
    manager: SessionManager, raylets: Raylets, sessions: Sessions, tmp_path: Path
) -> None:
    session = await sessions.on_worker()
    gate = Gate(tmp_path)
    receipt = await session.send(gate.prompt("went on"))
    await gate.begun()

    raylets.kill()

    doubt = await action_of(session)
    assert doubt.kind is ActionKind.in_doubt
    await session.resolve_action(doubt.action_id, "skip")
    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "went on"
    assert gate.lines == ["begin"]
    await assert_gapless(session)
