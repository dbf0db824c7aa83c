"""Waits for children and timers: what time means meanwhile, and what is told when a child cannot answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.children import ChildOutcome
from actors.domain.ids import new_ulid, utc_now
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.session import Activity, SessionConfig
from actors.session.containment import contain
from actors.session.projection import new_session, project
from tests.unit.runtime.parts import MODEL as ECHO
from tests.unit.runtime.parts import TENANT, create, gated_store
from tests.unit.session.world import World


def permissive(**values: Any) -> SessionConfig:
    return SessionConfig(permission_policy=PermissionPolicy.permissive(), **values)


def calling(world: World, *uses: tuple[str, dict[str, Any]]) -> None:
    """A turn whose model calls these tools."""
    world.send()
    (call,) = world.running
    blocks = [ToolUseBlock(id=f"u{place}", name=name, input=args) for place, (name, args) in enumerate(uses)]
    world.answer(call, Message.assistant("", *blocks))


def test_the_turns_time_stands_still_while_it_waits_for_children() -> None:
    world = World(permissive(max_turn_s=10))
    calling(world, ("spawn_children", {"tasks": ["a"]}))
    assert world.state.activity is Activity.waiting
    assert project(world.state).wake_at is None

    world.pass_time(1000)
    assert world.state.turn is not None
    world.report(world.silent[0])
    assert world.state.turn.deadline == world.now + timedelta(seconds=10)
    world.pass_time(11)
    assert world.state.turn is None or world.state.turn.timed_out


def test_a_sleep_ends_at_a_moment_that_a_crash_does_not_move() -> None:
    world = World(permissive(max_turn_s=10))
    calling(world, ("sleep", {"seconds": 100}))
    until = world.now + timedelta(seconds=100)
    world.pass_time(60)
    world.crash()
    assert (project(world.state).wake_at, world.state.activity) == (until, Activity.waiting)

    world.pass_time(39)
    assert world.state.activity is Activity.waiting
    world.pass_time(1)
    assert world.state.activity is Activity.running
    assert [record.data.name for record in world.records if isinstance(record, r.TimerFired)] == ["call:0"]


def test_two_sleeps_and_a_question_wait_side_by_side() -> None:
    policy = PermissionPolicy(allow=["sleep"], ask=["look"])
    world = World(SessionConfig(permission_policy=policy))
    calling(world, ("sleep", {"seconds": 20}), ("look", {}), ("sleep", {"seconds": 10}))
    assert world.state.activity is Activity.requires_action
    assert project(world.state).wake_at == world.now + timedelta(seconds=10)
    world.pass_time(10)
    assert project(world.state).wake_at == world.now + timedelta(seconds=10)
    (action,) = world.state.actions
    world.tell(c.ResolveAction(**world.identity(), action_id=action.action_id, resolution="reject"))  # pyright: ignore[reportArgumentType] - pydantic makes the enum
    assert world.state.activity is Activity.waiting
    world.pass_time(10)
    assert world.state.activity is Activity.running


def test_children_whose_names_are_in_use_are_refused_and_the_next_ones_have_others() -> None:
    world = World(permissive())
    world.send()
    first = World(permissive())
    calling(first, ("spawn_children", {"tasks": ["a", "b"]}))
    names = frozenset(record.data.child_id for record in first.silent)

    world.surround(taken=names)
    (call,) = world.running
    use = ToolUseBlock(id="u", name="spawn_children", input={"tasks": ["a", "b"]})
    world.answer(call, Message.assistant("", use))
    assert [record.data.code for record in world.records if isinstance(record, r.ToolCallDenied)] == ["session_exists"]
    (again,) = world.running
    world.answer(again, Message.assistant("", use))
    assert len(world.silent) == 2
    assert names.isdisjoint(record.data.child_id for record in world.silent)


def test_an_answer_that_nobody_waits_for_changes_nothing_but_the_journal() -> None:
    world = World(permissive())
    calling(world, ("spawn_children", {"tasks": ["a", "b"], "wait": "first"}))
    slow, quick = world.silent
    world.report(quick)
    before = world.state
    world.report(slow)
    assert world.state.turn == before.turn
    assert world.state.context == before.context


def test_many_large_answers_fit_into_one_record() -> None:
    world = World(permissive())
    calling(world, ("spawn_children", {"tasks": [f"{number}" for number in range(64)]}))
    for child in world.silent:
        world.report(child, text="y" * 30_000)
    (done,) = [record for record in world.records if isinstance(record, r.ToolCallCompleted)]
    assert len(r.encode_record(done)) <= r.MAX_RECORD_BYTES
    assert sum(map(len, world.plans[-1].blobs.values())) > 64 * 30_000


def test_a_task_that_is_taken_back_is_told_to_the_parent() -> None:
    world = World(permissive(), task=Message.user("do it"))
    world.tell(c.Pause(**world.identity()))
    world.tell(c.WithdrawInput(**world.identity(), input_id="P:2"))
    (letter,) = [letter for batch in world.letters for letter in batch]
    told = c.COMMAND.validate_json(letter.body)
    assert isinstance(told, c.ReportChild)
    assert (told.report.outcome, told.report.code) == (ChildOutcome.cancelled, "withdrawn")


async def test_a_child_that_is_taken_out_of_service_is_told_to_its_parent_once() -> None:
    async with gated_store() as store:
        await create(store, "p")
        parent = await store.row(TENANT, "p")
        config = SessionConfig(model=ECHO)
        child = new_session(TENANT, "c", "c", config, now=utc_now(), cause="p:2", parent=parent, task=Message.user("x"))
        await store.create(TENANT, new_ulid(), "d", [child])
        await contain(store, TENANT, "c", 0, 1, "three activations in a row ended without progress")
        await store.destroy(TENANT, "c", new_ulid(), "d2")

        (letter,) = await store.letters(TENANT, "p")
        told = c.COMMAND.validate_json(letter.body)
        assert isinstance(told, c.ReportChild)
        assert (told.report.outcome, told.report.code) == (ChildOutcome.failed, "crash_loop")
        assert "three activations" in told.report.message
