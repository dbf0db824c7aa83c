"""What sessions of a family wait for, seen and decided from above."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from actors.domain import records as r
from actors.domain.actions import Action
from actors.domain.children import ChildSpec
from actors.errors import ActionNotFound, ActionSettled, SessionNotFound
from actors.handle import SessionHandle
from actors.manager import SessionManager
from actors.tools.function import tool
from tests.unit.local.runtimes import asking, calls, record_of, runtime, says

_STEPS = (calls(("act", {"what": "it"})), says("Well."))


@dataclass(frozen=True)
class _Family:
    """Three generations; the two younger ones wait for approvals."""

    manager: SessionManager
    root: SessionHandle
    child: SessionHandle
    grandchild: SessionHandle
    ran: list[str]


@pytest.fixture(params=["memory:", "sqlite"])
async def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[_Family]:
    ran: list[str] = []

    @tool
    async def act(what: str) -> str:
        """Do something that cannot be undone."""
        ran.append(what)
        return what

    kept = request.param if request.param == "memory:" else f"sqlite:///{tmp_path_factory.mktemp('s')}/greenroom.db"
    async with runtime(act, store=kept) as manager:
        root = await manager.create_session("root", asking(*_STEPS))
        child = await _asking_child(manager, root, "child")
        yield _Family(manager, root, child, await _asking_child(manager, child, "young"), ran)


async def _asking_child(manager: SessionManager, parent: SessionHandle, name: str) -> SessionHandle:
    await parent.spawn_many([ChildSpec(prompt="go", session_id=name, config=asking(*_STEPS))])
    child = await manager.get_session(name)
    await record_of(child, r.ActionRequested)
    return child


def _whose(actions: tuple[Action, ...]) -> list[str]:
    return [action.session_id for action in actions]


async def test_actions_of_a_session_are_those_of_all_below_it_and_say_whose_they_are(family: _Family) -> None:
    assert _whose(await family.root.actions()) == ["child", "young"]
    assert _whose(await family.child.actions()) == ["child", "young"]
    assert _whose(await family.grandchild.actions()) == ["young"]
    assert _whose((await family.manager.actions("root")).items) == ["child", "young"]
    assert await family.root.actions(tree=False) == ()
    assert _whose(await family.child.actions(tree=False)) == ["child"]
    assert (await family.manager.actions("root", tree=False)).items == ()


async def test_they_come_in_pages_and_by_kind(family: _Family) -> None:
    first = await family.manager.actions("root", limit=1)
    rest = await family.manager.actions("root", limit=1, after=first.next)
    assert (_whose(first.items), _whose(rest.items), rest.next) == (["child"], ["young"], None)
    assert len((await family.manager.actions("root", kind="approval")).items) == 2
    assert (await family.manager.actions("root", kind="in_doubt")).items == ()


async def test_what_a_descendant_asks_is_decided_at_the_root_which_sleeps_on(family: _Family) -> None:
    await family.root.hibernate()
    head = (await family.root.info()).head_seq
    own, young = await family.root.actions()
    await family.root.resolve_action(young.action_id, "approve", args_digest=young.args_digest, command_id="once")
    await family.root.resolve_action(young.action_id, "approve", args_digest=young.args_digest, command_id="once")
    assert (await family.child.wait_children("all"))[0].text == "Well."
    assert family.ran == ["it"]
    assert (await family.root.info()).head_seq == head
    assert await family.manager.confirm_tool("root", own.action_id, False, "no")
    assert (await family.root.wait_children("all"))[0].text == "Well."
    assert family.ran == ["it"]
    assert await family.root.actions() == ()


async def test_the_first_decision_wins_whichever_way_it_comes(family: _Family) -> None:
    (_, young) = await family.root.actions()
    await family.grandchild.resolve_action(young.action_id, "reject")
    with pytest.raises(ActionSettled):
        await family.root.resolve_action(young.action_id, "approve")
    assert not await family.root.confirm_tool(young.action_id, True)
    settled = await family.root.actions(pending=False)
    assert [(one.session_id, one.resolution) for one in settled] == [("child", None), ("young", "reject")]
    assert family.ran == []


async def test_nobody_decides_what_is_asked_above_or_beside_him(family: _Family) -> None:
    stranger = await family.manager.create_session("stranger", asking(*_STEPS))
    own, young = await family.root.actions()
    for handle, action in ((family.grandchild, own), (stranger, own), (stranger, young)):
        with pytest.raises(ActionNotFound):
            await handle.resolve_action(action.action_id, "approve")
    assert family.ran == []


async def test_a_tool_call_id_is_that_of_the_session_itself(family: _Family) -> None:
    (own, young) = await family.root.actions()
    assert own.tool_use_id == young.tool_use_id
    with pytest.raises(ActionNotFound):
        await family.root.resolve_action(own.tool_use_id, "approve")
    await family.child.resolve_action(own.tool_use_id, "approve")
    assert _whose(await family.root.actions()) == ["young"]


async def test_another_tenant_sees_and_decides_nothing_of_it(family: _Family) -> None:
    theirs = SessionManager(family.manager._runtime, family.manager.settings, "theirs")  # pyright: ignore[reportPrivateUsage]
    other = await theirs.create_session("root", asking(*_STEPS))
    (own, _) = await family.root.actions()
    assert await other.actions() == ()
    with pytest.raises(ActionNotFound):
        await other.resolve_action(own.action_id, "approve")


async def test_a_family_that_lost_its_founder_is_listed_below_those_who_are_left(family: _Family) -> None:
    await family.manager.destroy_session("root")
    with pytest.raises(SessionNotFound):
        await family.root.actions()
    assert _whose(await family.child.actions()) == ["child", "young"]
    assert _whose((await family.manager.actions()).items) == ["child", "young"]
