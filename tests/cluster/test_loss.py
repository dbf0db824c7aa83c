"""A node is lost or frozen with turns open on it: they go on elsewhere, and nothing is done twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors import SessionHandle, SessionManager
from actors.domain import records as r
from actors.domain.actions import ActionKind
from tests.cluster.raylets import Raylets
from tests.cluster.sessions import BOUND_S, Sessions, assert_gapless, started
from tests.integration.crash_site import Gate
from tests.integration.waiting import action_of, event_of


async def _bound(session: SessionHandle, nth: int) -> str:
    """The node to which the session's files were tied, the nth time."""
    return (await event_of(session, r.WorkspaceBound, nth=nth)).data.node


async def _decide(session: SessionHandle, nth: int, kind: ActionKind, resolution: str) -> None:
    action = await action_of(session, nth=nth)
    assert action.kind is kind
    await session.resolve_action(action.action_id, resolution)


async def test_the_turns_of_a_killed_node_go_on_elsewhere_and_somebody_decides_about_its_files(
    manager: SessionManager, raylets: Raylets, sessions: Sessions, tmp_path: Path
) -> None:
    session = await sessions.on_worker()
    gate = Gate(tmp_path)
    receipt = await session.send(gate.prompt("went on"))
    await gate.begun()
    assert await _bound(session, 1) == raylets.name

    raylets.kill()

    await _decide(session, 1, ActionKind.in_doubt, "skip")
    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "went on"
    assert gate.lines == ["begin"], "nobody ran it again"

    receipt = await session.send("/tool ls {}\nlooked")
    await _decide(session, 2, ActionKind.workspace_lost, "approve")
    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "looked"
    assert await _bound(session, 2) == "head"
    assert len(await started(session)) == 2
    await assert_gapless(session)


@pytest.mark.parametrize("with_workers", [True, False], ids=["all of it", "its raylet alone"])
async def test_a_frozen_node_is_given_up_and_what_it_does_later_counts_for_nothing(
    manager: SessionManager, raylets: Raylets, sessions: Sessions, tmp_path: Path, with_workers: bool
) -> None:
    session = await sessions.on_worker()
    gate = Gate(tmp_path)
    receipt = await session.send(gate.prompt("went on"))
    await gate.begun()

    raylets.freeze(with_workers=with_workers)
    try:
        await _decide(session, 1, ActionKind.in_doubt, "skip")
        assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "went on"
    finally:
        raylets.thaw()
        raylets.forget()

    assert (await session.generate("after", timeout=BOUND_S)).text == "after"
    assert gate.lines.count("begin") == 1
    assert [one.data.outcome for one in await session.records(limit=1000) if isinstance(one, r.ToolCallCompleted)] == [
        "unknown"
    ]
    await assert_gapless(session)
