"""A session's tool calls stay with its files: tied to a node at the first call, and asked about when it is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.calls import HostRef
from actors.domain.children import NewChild
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.session import SessionConfig
from actors.domain.workspaces import Site, Workspace
from actors.errors import InvalidRequest
from actors.session.own_tools import with_own
from actors.session.plan import CommandGiven
from actors.session.projection import project
from actors.session.workspace import whereabouts
from tests.unit.session.world import ALL_TOOLS, World

ROOT = "/w"
HERE = HostRef(host_id="tools-here", incarnation="1")
THERE = HostRef(host_id="tools-there", incarnation="1")


def _world(**around: object) -> World:
    world = World(config=SessionConfig(permission_policy=PermissionPolicy.permissive()))
    tools = with_own(replace(spec, host=None) for spec in ALL_TOOLS.values())
    world.around = replace(world.around, tools=tools, workspace=ROOT, **around)
    return world


def _asks(world: World, *names: str) -> None:
    """The model answers with tool calls."""
    blocks = tuple(ToolUseBlock(id=f"{name}-{index}", name=name, input={}) for index, name in enumerate(names))
    world.answer(world.running[0], Message(role="assistant", content=blocks))  # pyright: ignore[reportArgumentType] - pydantic makes the enum


def _site(world: World, node: str, host: HostRef | None) -> None:
    """Somebody says where the tool calls run."""
    world.surround(site=Site(whereabouts(world.state, world.around), node, host))


def _bound(world: World) -> list[Workspace]:
    return [record.data for record in world.records if isinstance(record, r.WorkspaceBound)]


def _running_on(world: World) -> HostRef:
    (call,) = world.running
    return call.host


def _settled_on(world: World, node: str) -> World:
    """A session that has had a call on a node, and is about to have another."""
    world.send()
    _asks(world, "act")
    _site(world, node, HERE)
    world.result(world.running[0])
    _asks(world, "act")
    return world


def test_the_first_call_ties_the_session_to_the_node_in_the_same_append() -> None:
    world = _world()
    world.send()
    assert world.effects.needs_site, "looked for while the model answers"
    _site(world, "n1", HERE)

    _asks(world, "act")

    assert [record.type for record in world.batches[-1]] == [
        "model.call.completed",
        "workspace.bound",
        "tool.call.started",
    ]
    assert _bound(world) == [Workspace(node="n1", path=ROOT)]
    assert _running_on(world) == HERE
    assert project(world.state).workspace_node == "n1", "where its next activation is placed, if there is room"


def test_nothing_begins_before_somebody_says_where() -> None:
    world = _world()
    world.send()
    _asks(world, "act")

    assert not world.running
    assert world.effects.needs_site


def test_calls_side_by_side_tie_the_session_once() -> None:
    world = _world()
    world.send()
    _site(world, "n1", HERE)
    _asks(world, "look", "look")

    assert len(_bound(world)) == 1
    assert {call.host.host_id for call in world.running} == {HERE.host_id}


def test_after_a_move_of_the_session_its_calls_go_back_to_the_node_of_its_files() -> None:
    world = _settled_on(_world(), "n1")
    world.surround(site=None)
    world.crash()

    wanted = whereabouts(world.state, world.around)
    assert (wanted.node, wanted.only) == ("n1", True)


def test_a_lost_node_is_asked_about_and_nothing_runs_meanwhile() -> None:
    world = _settled_on(_world(), "n1")
    world.result(world.running[0])
    world.surround(site=None)
    _asks(world, "act")
    _site(world, "n1", None)

    (action,) = world.state.actions
    assert action.kind is ActionKind.workspace_lost
    assert "n1" in action.detail and ROOT in action.detail
    assert not world.running
    assert world.state.waits_for_people


def _lost(world: World) -> World:
    _settled_on(world, "n1")
    world.result(world.running[0])
    world.surround(site=None)
    _asks(world, "act")
    _site(world, "n1", None)
    return world


def _resolve(world: World, how: str) -> None:
    (action,) = world.state.actions
    world.tell(c.ResolveAction(**world.identity(), action_id=action.action_id, resolution=how))  # pyright: ignore[reportArgumentType] - pydantic makes the enum


def test_approved_it_goes_on_where_the_node_is_back_or_elsewhere_and_is_tied_anew() -> None:
    world = _lost(_world())
    _resolve(world, "approve")
    wanted = whereabouts(world.state, world.around)
    assert (wanted.node, wanted.only) == ("n1", False), "its old node first"

    _site(world, "n2", THERE)

    assert [one.node for one in _bound(world)] == ["n1", "n2"]
    assert _running_on(world) == THERE
    assert whereabouts(world.state, world.around).only


def test_a_node_that_is_lost_again_is_asked_about_again() -> None:
    world = _lost(_world())
    first = world.state.actions[0].action_id
    _resolve(world, "approve")
    _site(world, "n2", THERE)
    world.lose(world.running[0])
    world.surround(site=None)
    _resolve(world, "retry")
    _site(world, "n2", None)

    (action,) = world.state.actions
    assert action.kind is ActionKind.workspace_lost
    assert action.action_id != first


def test_rejected_the_call_fails_and_the_model_is_told() -> None:
    world = _lost(_world())
    _resolve(world, "reject")

    denied = [record for record in world.records if isinstance(record, r.ToolCallDenied)]
    assert "gone" in denied[0].data.reason
    assert world.running[0].kind == "model"


def test_rejecting_does_not_say_of_a_call_that_may_have_run_that_it_never_did() -> None:
    world = _settled_on(_world(), "n1")
    world.lose(world.running[0])
    world.surround(site=None)
    _resolve(world, "retry")
    _site(world, "n1", None)
    _resolve(world, "reject")

    completed = [record for record in world.records if isinstance(record, r.ToolCallCompleted)]
    assert completed[-1].data.outcome == "unknown"


def test_only_approve_and_reject_answer_the_question() -> None:
    world = _lost(_world())
    with pytest.raises(InvalidRequest):
        _resolve(world, "retry")


def test_shared_files_are_on_every_node() -> None:
    world = _settled_on(_world(shared_workspaces=True), "n1")
    assert _bound(world) == [Workspace(node="n1", path=ROOT, shared=True)]
    assert project(world.state).workspace_node is None

    assert whereabouts(world.state, world.around).node is None


def test_a_child_in_the_same_directory_works_on_the_same_node() -> None:
    world = _settled_on(_world(), "n1")
    same = NewChild(child_id="a", child_journal_id="A")
    other = NewChild(child_id="b", child_journal_id="B", config=SessionConfig(workspace="/elsewhere"))
    made = world.happen(CommandGiven(c.SpawnChildren(**world.identity(), children=(same, other))))

    born = [r.decode_record(one.records[0].body) for one in made.creations]
    assert [one.data.workspace for one in born if isinstance(one, r.SessionCreated)] == [world.state.workspace, None]
