"""Children with tasks when there is room for one session only, and when what carries them dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from actors import Budget, SessionConfig, SessionManager, Settings
from actors.domain import records as r
from actors.domain.children import ChildOutcome
from tests.integration.crash_site import BOUND_S, Gate, kill_all
from tests.integration.runtimes import MODEL, NewId, runtime_name
from tests.integration.waiting import event_of


def spawn(*tasks: str) -> str:
    return f"/tool spawn_children {json.dumps({'tasks': tasks})}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def narrow(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SessionManager]:
    """A runtime with one session actor, which hosts one session at a time."""
    settings = Settings(
        runtime=runtime_name(),
        min_warm=1,
        max_resident=1,
        sessions_per_actor=1,
        idle_timeout_s=3600,
        workspace=str(tmp_path_factory.mktemp("workspace")),
    )
    manager = await SessionManager.with_persistence(MODEL, tmp_path_factory.mktemp("store"), settings=settings)
    yield manager
    await manager.close()


async def test_a_parent_and_its_childrens_children_share_one_place(
    narrow: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    parent = await narrow.create_session(new_id(), permissive)
    inner = f"{spawn('/say deep', '/say deeper')}\n/say middle"
    result = await parent.generate(f"{spawn(inner, '/say two', '/say three')}\n/say done", timeout=BOUND_S)
    assert result.text == "done"
    answers = await narrow.wait_children(parent.session_id)
    assert [one.text for one in answers] == ["middle", "two", "three"]


async def test_a_parent_and_a_child_that_are_killed_in_the_middle_lose_no_answer(
    narrow: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    budget = Budget(tool_calls=9)
    parent = await narrow.create_session(new_id(), permissive.changed(budget=budget))
    asked = asyncio.create_task(parent.generate(f"{spawn(gate.prompt('survived'))}\n/say done", timeout=BOUND_S))
    await event_of(parent, r.ChildStarted)
    await kill_all(narrow.settings.runtime, "session")
    await gate.begun()
    await kill_all(narrow.settings.runtime, "session")
    await gate.open()

    assert (await asked).text == "done"
    (answer,) = await narrow.wait_children(parent.session_id)
    assert answer.text == "survived"
    assert gate.lines == ["begin", "end"]
    await event_of(parent, r.LeaseReturned)
    types = [record.type for record in await parent.records(limit=1000)]
    assert types.count("child.completed") == types.count("tool.call.completed") == types.count("lease.returned") == 1
    standing = (await parent.info()).budget
    assert standing is not None
    assert (standing.used.tool_calls, standing.leased.tool_calls, standing.remaining.tool_calls) == (1, 1, 7)


async def test_an_answer_that_is_committed_while_the_registry_is_dead_arrives(
    narrow: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    parent = await narrow.create_session(new_id(), permissive)
    (child,) = await narrow.spawn_many(parent.session_id, [gate.prompt("told")])
    await gate.begun()
    await kill_all(narrow.settings.runtime, "registry")
    await gate.open()
    ended = await event_of(child, r.TurnCompleted)

    (answer,) = await narrow.wait_children(parent.session_id, timeout=BOUND_S)

    assert (answer.outcome, answer.text) == (ChildOutcome.completed, "told")
    told = await event_of(parent, r.ChildCompleted)
    assert told.cause == f"{child.journal_id}:{ended.seq}"


async def test_a_sleeping_turn_leaves_its_place_and_is_woken(
    narrow: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    sleeper = await narrow.create_session(new_id(), permissive)
    other = await narrow.create_session(new_id(), permissive)
    receipt = await sleeper.send('/tool sleep {"seconds": 0.5}\n/say woken')
    await event_of(sleeper, r.ToolCallStarted)
    assert (await other.generate("meanwhile", timeout=BOUND_S)).text == "meanwhile"
    assert (await sleeper.wait_turn(receipt, timeout=BOUND_S)).text == "woken"
