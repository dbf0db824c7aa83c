"""Child sessions: what they take from their parent, and what is refused."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from actors import (
    ChildSpec,
    ConfirmationPolicy,
    LlmConfig,
    PermissionPolicy,
    SessionConfig,
    SessionLane,
    SessionManager,
    errors,
)
from actors.domain.records import ActionRequested
from tests.integration.runtimes import NewId
from tests.integration.waiting import LONG_S


async def test_a_child_takes_model_workspace_and_policies_from_its_parent(
    manager: SessionManager, new_id: NewId, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace = str(tmp_path_factory.mktemp("parent"))
    confirmation = ConfirmationPolicy(default_timeout_ms=60_000, yolo_lanes=frozenset({SessionLane.query}))
    permission = PermissionPolicy(allow=["bash(cargo:*)"])
    config = SessionConfig(
        workspace=workspace,
        model=LlmConfig.of("scripted/echo"),
        permission_policy=permission,
        confirmation_policy=confirmation,
    )
    parent = await manager.create_session(new_id(), config)
    child = await manager.create_child_session(parent.session_id, new_id())
    inherited = await manager.get_config(child.session_id)
    assert inherited.parent_id == parent.session_id
    assert inherited.workspace == workspace
    assert inherited.model == config.model
    assert inherited.permission_policy == permission
    assert inherited.confirmation_policy == confirmation
    assert (await child.generate("/say hello")).text == "/say hello"


async def test_a_child_takes_the_policy_that_its_parent_has_now(manager: SessionManager, new_id: NewId) -> None:
    parent = await manager.create_session(new_id())
    changed = ConfirmationPolicy.auto_approve_all()
    await parent.set_confirmation_policy(changed)
    child = await manager.create_child_session(parent.session_id, new_id())
    assert await child.confirmation_policy() == changed


async def test_a_child_keeps_what_its_own_configuration_says(manager: SessionManager, new_id: NewId) -> None:
    parent = await manager.create_session(new_id(), SessionConfig(permission_policy=PermissionPolicy.permissive()))
    own = SessionConfig(model=LlmConfig.of("scripted/echo"), permission_policy=PermissionPolicy.strict())
    child = await manager.create_child_session(parent.session_id, new_id(), own)
    config = await child.config()
    assert (config.model, config.permission_policy) == (own.model, own.permission_policy)


async def test_a_parent_lists_its_children_and_they_know_that_they_are(manager: SessionManager, new_id: NewId) -> None:
    parent = await manager.create_session(new_id())
    children = [new_id(), new_id(), new_id()]
    for child in children:
        await manager.create_child_session(parent.session_id, child)
    assert await manager.get_child_sessions(parent.session_id) == children
    assert await manager.is_child_session(children[0])
    assert not await manager.is_child_session(parent.session_id)
    listed = await manager.list_sessions(parent_id=parent.session_id)
    assert {info.session_id for info in listed.items} == set(children)
    roots = await manager.list_sessions(roots_only=True, limit=1000)
    assert not {info.session_id for info in roots.items} & set(children)


async def test_children_of_a_childless_or_unknown_parent_are_none(manager: SessionManager, new_id: NewId) -> None:
    lonely = await manager.create_session(new_id())
    assert await manager.get_child_sessions(lonely.session_id) == []
    assert await manager.get_child_sessions(new_id()) == []


async def test_a_child_of_an_unknown_parent_is_refused(manager: SessionManager, new_id: NewId) -> None:
    child = new_id()
    with pytest.raises(errors.SessionNotFound):
        await manager.create_child_session(new_id(), child)
    with pytest.raises(errors.SessionNotFound):
        await manager.get_session(child)


async def test_a_child_whose_id_is_in_use_or_invalid_is_refused_and_its_parent_goes_on(
    manager: SessionManager, new_id: NewId
) -> None:
    parent = await manager.create_session(new_id())
    taken = await manager.create_session(new_id())
    with pytest.raises(errors.SessionExists):
        await manager.create_child_session(parent.session_id, taken.session_id)
    with pytest.raises(errors.InvalidSessionId):
        await manager.create_child_session(parent.session_id, "a/b")
    assert await manager.get_child_sessions(parent.session_id) == []
    assert not await manager.is_child_session(taken.session_id)
    assert (await parent.generate("hello")).text == "hello"


async def test_destroying_a_parent_leaves_its_children(manager: SessionManager, new_id: NewId) -> None:
    parent = await manager.create_session(new_id())
    child = await manager.create_child_session(parent.session_id, new_id())
    await manager.destroy_session(parent.session_id)
    assert (await child.generate("hello")).text == "hello"


async def test_what_a_child_asks_is_told_and_decided_at_its_parent(manager: SessionManager, new_id: NewId) -> None:
    parent = await manager.create_session(new_id())
    name = new_id()
    await parent.spawn_many([ChildSpec(prompt="/tool ls {}\n/say done", session_id=name)])
    async with asyncio.timeout(LONG_S), aclosing(parent.events(follow=True, tree=True)) as events:  # pyright: ignore[reportArgumentType] - it is an async generator
        async for event in events:
            if isinstance(event, ActionRequested):
                break
    (action,) = await parent.actions()
    assert (action.session_id, action.tool) == (name, "ls")
    assert (await manager.actions(parent.session_id, tree=False)).items == ()
    await parent.resolve_action(action.action_id, "approve", args_digest=action.args_digest)
    assert (await parent.wait_children("all", timeout=LONG_S))[0].text == "done"
    assert await manager.generate_title(name, timeout=LONG_S) == (await manager.get_info(name)).name != ""
