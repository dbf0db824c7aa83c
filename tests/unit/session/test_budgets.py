"""What a session may take: counted from its records, checked before each call, asked about and never exceeded twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import ActionKind, Resolution
from actors.domain.budgets import Amounts, Bounds, Budget, BudgetStanding, Resource
from actors.domain.calls import ModelCall
from actors.domain.children import NewChild
from actors.domain.commands import COMMAND
from actors.domain.letters import ReturnLease
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, TokenUsage, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.session import Activity, SessionConfig
from actors.errors import BudgetExceeded, InvalidRequest
from actors.policy.budgets import FOR_MODEL, FOR_TOOLS
from actors.session.budgets import is_used_up, left, standing, used
from actors.session.fold import apply
from actors.session.plan import CallAnswered
from actors.session.state import initial
from tests.unit.session.steps import worlds
from tests.unit.session.world import MODEL, World, answered, model_is_unpriced


def _asks(*names: str) -> Message:
    return Message.assistant("", *(ToolUseBlock(id=f"t{n}", name=name, input={"n": n}) for n, name in enumerate(names)))


def _spends(tokens: int) -> dict[str, Any]:
    return {"usage": TokenUsage(prompt_tokens=tokens, total_tokens=tokens)}


def _world(**bounds: Any) -> World:
    return World(SessionConfig(budget=Budget(**bounds), permission_policy=PermissionPolicy.permissive()))


def _resolve(world: World, how: Resolution, **values: Any) -> None:
    action = world.state.actions[0]
    world.tell(c.ResolveAction(**world.identity(), action_id=action.action_id, resolution=how, **values))


def _kinds(world: World) -> list[str]:
    return [record.type for record in world.records]


# --- asking ----------------------------------------------------------------------------------------------------------


def test_the_call_that_goes_beyond_is_the_last_one_and_then_the_session_asks_for_as_much_again() -> None:
    world = _world(tokens=100)
    world.send()
    world.answer(world.running[0], _asks("look"), **_spends(130))
    world.result(world.running[0])

    assert not world.running
    assert world.state.activity is Activity.requires_action
    (action,) = world.state.actions
    assert (action.kind, action.call_index, action.tool_use_id) == (ActionKind.budget, -1, "")
    assert action.args == {"tokens": 130}, "there is as much left as the budget gave, when that is granted"
    assert "130 of 100 tokens" in action.detail
    assert _kinds(world)[-2:] == ["session.budget_reached", "action.requested"]

    _resolve(world, Resolution.approve)
    assert left(world.state) == {Resource.tokens: Decimal(100)}
    world.answer(world.running[0], "Done.")
    assert world.state.turn is None


def test_a_call_beside_one_that_leases_begins_by_what_the_lease_leaves() -> None:
    world = _world(tool_calls=3)
    world.send()
    spawn = {"tool": "spawn_children", "args": {"tasks": ["a"]}}
    both = ToolUseBlock(id="t0", name="batch", input={"invocations": [spawn, {"tool": "act", "args": {}}]})
    world.answer(world.running[0], Message.assistant("", both))

    begun = [record.data.name for record in world.records if isinstance(record, r.ToolCallStarted)]
    assert begun == ["batch", "spawn_children"], "a child was given the last call that there was"
    assert left(world.state) == {Resource.tool_calls: Decimal(0)}
    assert [action.kind for action in world.state.actions] == [ActionKind.budget]


def test_what_is_granted_may_be_another_amount_if_it_helps() -> None:
    world = _world(tokens=100)
    world.send()
    world.answer(world.running[0], _asks("look"), **_spends(150))
    world.result(world.running[0])

    for useless in ({"tokens": 50}, {"usd": 5}, {"tokens": -1}, {"gold": 1}, {}, {"tokens": 10**12}):
        with pytest.raises(InvalidRequest):
            _resolve(world, Resolution.approve, args=useless)
    _resolve(world, Resolution.approve, args={"tokens": 51})

    assert left(world.state) == {Resource.tokens: Decimal(1)}
    assert world.running


def test_a_question_that_a_new_budget_answers_while_the_session_is_paused_is_settled_at_once() -> None:
    world = _world(tokens=100, tool_calls=5)
    world.send()
    world.answer(world.running[0], _asks("look"), **_spends(150))
    world.result(world.running[0])
    assert world.state.actions
    world.tell(c.Pause(**world.identity()))
    world.tell(c.Configure(**world.identity(), budget=Budget(tool_calls=5), set_fields=("budget",)))

    assert not world.state.actions
    assert not world.running
    world.tell(c.Resume(**world.identity()))
    assert world.running


def test_how_a_session_stands_is_read_back_as_it_was_whatever_its_model_costs() -> None:
    world = _world(usd=Decimal(5))
    world.send()
    world.answer(world.running[0], _asks("look"), cost_usd="0.00001938270191234567890123456789")
    world.result(world.running[0])

    found = standing(world.state)
    assert found is not None
    assert BudgetStanding.model_validate_json(found.model_dump_json()) == found
    granted = Amounts(usd=Decimal(10) ** 15, tokens=10**15)
    raised = world.state.model_copy(update={"account": world.state.account.model_copy(update={"raised": granted})})
    found = standing(raised)
    assert found is not None, "a journal may have more than is granted today"
    assert BudgetStanding.model_validate_json(found.model_dump_json()) == found


def test_a_rejection_ends_the_turn_and_says_why() -> None:
    world = _world(tokens=100)
    world.send()
    world.answer(world.running[0], _asks("look"), **_spends(100))
    world.result(world.running[0])
    _resolve(world, Resolution.reject, reason="too dear")

    failed = world.records[-1]
    assert isinstance(failed, r.TurnFailed)
    assert failed.data.code == BudgetExceeded.__name__
    assert "100 of 100 tokens" in failed.data.message
    assert "too dear" in failed.data.message


def test_an_answer_that_is_there_is_given_though_nothing_is_left() -> None:
    world = _world(tokens=10)
    world.send()
    world.answer(world.running[0], "Let me look:", **_spends(500))

    assert world.state.turn is None
    world.send("more")
    assert world.state.activity is Activity.requires_action


def test_of_calls_side_by_side_as_many_begin_as_the_budget_has_and_then_the_session_asks() -> None:
    world = _world(tool_calls=2)
    world.send()
    world.answer(world.running[0], _asks("look", "look", "look"))
    assert len(world.running) == 2
    assert world.state.actions
    assert world.state.activity is Activity.running
    for call in world.running:
        world.result(call)

    assert world.state.activity is Activity.requires_action
    _resolve(world, Resolution.approve, args={"tool_calls": 1})
    assert len(world.running) == 1
    world.result(world.running[0])
    # Tool calls are used up, which the next answer does not need.
    world.answer(world.running[0], "Done.")
    assert world.state.turn is None


def test_a_call_that_is_repeated_after_a_crash_counts_once() -> None:
    world = _world(tool_calls=1)
    world.send()
    world.answer(world.running[0], _asks("look"))
    world.lose(world.running[0])
    world.crash()
    world.lose(world.running[0])
    world.result(world.running[0])

    assert used(world.state).tool_calls == 1
    assert sum(isinstance(one, r.ToolCallStarted) for one in world.records) == 3
    assert not world.state.actions


def test_time_counts_while_the_session_works_and_not_while_it_waits_for_people() -> None:
    world = _world(wall_s=100)
    world.send()
    world.pass_time(60)
    world.answer(world.running[0], _asks("look"))
    world.crash()
    world.pass_time(50)
    world.result(world.running[0])
    assert used(world.state).wall_s == 110
    assert world.state.actions[0].args == {"wall_s": 110.0}

    world.pass_time(1_000_000)
    assert used(world.state).wall_s == 110
    _resolve(world, Resolution.approve)
    world.pass_time(1)
    world.answer(world.running[0], "Done.")
    world.pass_time(1_000_000)
    world.send()
    assert used(world.state).wall_s == 111


def test_time_out_of_service_is_no_work() -> None:
    world = _world(wall_s=100)
    world.send()
    world.tell(c.Pause(**world.identity()))
    world.pass_time(500)
    world.tell(c.Resume(**world.identity()))
    assert used(world.state).wall_s == 0


def test_a_question_that_has_become_pointless_is_taken_back() -> None:
    world = _world(tokens=100)
    world.send()
    world.answer(world.running[0], _asks("look"), **_spends(100))
    world.result(world.running[0])
    world.tell(c.Configure(**world.identity(), budget=Budget(tokens=500), set_fields=("budget",)))

    resolved = next(one for one in world.records if isinstance(one, r.ActionResolved))
    assert (resolved.data.resolution, resolved.data.by) == (Resolution.cancelled, "budget")
    assert world.running


def test_nobody_is_asked_any_longer_for_calls_that_will_not_be_made() -> None:
    world = _world(tool_calls=0)
    world.send()
    world.answer(world.running[0], _asks("look"))
    assert world.state.actions
    denying = PermissionPolicy(deny=["look"])
    world.tell(c.Configure(**world.identity(), permission_policy=denying, set_fields=("permission_policy",)))

    assert not world.state.actions
    world.answer(world.running[0], "Done.")
    assert world.state.turn is None


def test_a_cancel_while_the_session_asks_settles_the_question_first() -> None:
    world = _world(tokens=0)
    world.send()
    assert world.state.actions
    world.tell(c.Cancel(**world.identity()))

    assert _kinds(world)[-3:] == ["turn.cancelling", "action.resolved", "turn.cancelled"]
    assert not world.state.actions


def test_a_summary_is_a_model_call_too() -> None:
    world = World(SessionConfig(budget=Budget(tokens=10), max_context_length=300, auto_compact=True))
    world.send()
    world.answer(world.running[0], "yes", **_spends(290))
    for number in range(40):
        world.tell(c.AddMessage(**world.identity(), message=Message.user("x" * 200 + str(number))))
    world.tell(c.Compact(**world.identity()))
    assert world.state.actions
    assert not world.running
    _resolve(world, Resolution.reject)

    assert _kinds(world)[-2:] == ["session.compaction_failed", "turn.failed"]


def test_a_budget_that_is_set_is_what_there_is_whatever_was_granted_before() -> None:
    world = _world(tokens=100)
    world.send()
    world.answer(world.running[0], _asks("look"), **_spends(100))
    world.result(world.running[0])
    _resolve(world, Resolution.approve)
    world.answer(world.running[0], "Done.", **_spends(10))
    found = standing(world.state)
    assert found is not None
    assert (found.budget, found.raised) == (Bounds(tokens=200), Amounts(tokens=100))

    world.tell(c.Configure(**world.identity(), budget=Budget(tokens=150), set_fields=("budget",)))
    assert left(world.state) == {Resource.tokens: Decimal(40)}


def test_a_model_without_a_price_is_not_asked_before_somebody_agrees() -> None:
    world = _world(usd=1)
    world.send()
    call = world.running[0]
    assert isinstance(call, ModelCall)
    assert call.priced_only
    world.happen(CallAnswered(answered(call, model_is_unpriced())))

    (action,) = world.state.actions
    assert (action.kind, action.args) == (ActionKind.budget, {"unpriced": MODEL.name})
    assert world.state.activity is Activity.requires_action
    world.crash()
    assert world.state.actions == (action,)
    with pytest.raises(InvalidRequest, match="no amount"):
        _resolve(world, Resolution.approve, args={"usd": 5})
    _resolve(world, Resolution.approve)

    again = world.running[0]
    assert isinstance(again, ModelCall)
    assert (again.call_id, again.attempt, again.priced_only) == (call.call_id, 2, False)
    world.answer(again, "Done.", cost_usd=None)
    found = standing(world.state)
    assert found is not None
    assert (found.unpriced, found.used.usd) == ((MODEL.name,), 0)


def test_whoever_does_not_agree_to_a_model_without_a_price_ends_the_turn() -> None:
    world = _world(usd=1)
    world.send()
    world.happen(CallAnswered(answered(world.running[0], model_is_unpriced())))
    _resolve(world, Resolution.reject)
    failed = world.records[-1]
    assert isinstance(failed, r.TurnFailed)
    assert failed.data.code == BudgetExceeded.__name__


@pytest.mark.parametrize("change", [{"model": LlmConfig.of("openai/gpt-4o")}, {"budget": Budget(tokens=10)}])
def test_with_another_model_or_without_a_bound_of_money_nobody_is_asked_about_prices(change: dict[str, Any]) -> None:
    world = _world(usd=1)
    world.send()
    world.happen(CallAnswered(answered(world.running[0], model_is_unpriced())))
    world.tell(c.Configure(**world.identity(), **change, set_fields=tuple(change)))

    assert not world.state.actions
    (call,) = world.running
    assert isinstance(call, ModelCall)
    assert (call.attempt, call.priced_only) == (2, "model" in change)


def test_children_take_over_what_was_agreed_to_above_them() -> None:
    world = _world(usd=1)
    world.send()
    world.happen(CallAnswered(answered(world.running[0], model_is_unpriced())))
    _resolve(world, Resolution.approve)
    _spawn(world, None)
    born = r.decode_record(world.plans[-1].creations[0].records[0].body)
    assert isinstance(born, r.SessionCreated)
    assert born.data.lease is not None
    assert born.data.lease.unpriced == (MODEL.name,)


# --- leases ----------------------------------------------------------------------------------------------------------


def _spawn(world: World, *budgets: Budget | None, task: bool = True) -> list[r.ChildStarted]:
    count = sum(isinstance(one, r.ChildStarted) for one in world.records)
    children = tuple(
        NewChild(
            child_id=f"c{number}",
            child_journal_id=f"C{number}",
            task=Message.user("do it") if task else None,
            config=SessionConfig(budget=budget),
        )
        for number, budget in enumerate(budgets, count)
    )
    world.tell(c.SpawnChildren(**world.identity(), children=children))
    return [one for one in world.records if isinstance(one, r.ChildStarted)][count:]


def test_children_get_what_they_ask_for_and_the_others_equal_shares_of_the_rest() -> None:
    world = _world(tokens=1000, usd=1)
    _spawn(world, Budget(tokens=400), None, Budget(tool_calls=3))
    granted = [one.data.amounts for one in world.records if isinstance(one, r.LeaseGranted)]

    # The session itself keeps a share as large as a child's.
    assert [one.tokens for one in granted] == [400, 200, 200]
    assert [one.usd for one in granted] == [Decimal("0.25")] * 3
    assert [one.tool_calls for one in granted] == [None, None, 3]
    assert left(world.state) == {Resource.tokens: Decimal(200), Resource.usd: Decimal("0.25")}
    births = [r.decode_record(new.records[0].body) for new in world.plans[-1].creations]
    budgets = [one.data.config.budget for one in births if isinstance(one, r.SessionCreated)]
    assert [one and one.bounds for one in budgets] == [one.bounds for one in granted]
    assert [one.data.lease.lenders for one in births if isinstance(one, r.SessionCreated) and one.data.lease] == [
        ("J",)
    ] * 3


@pytest.mark.parametrize(
    "budgets", [(Budget(tokens=1001),), (Budget(tokens=600), Budget(tokens=600)), (Budget(tokens=1000), None)]
)
def test_children_cannot_have_more_than_their_parent_has_left(budgets: tuple[Budget | None, ...]) -> None:
    world = _world(tokens=1000)
    before = len(world.records)
    with pytest.raises(InvalidRequest, match="left"):
        _spawn(world, *budgets)
    assert len(world.records) == before


def test_what_comes_back_is_there_again_and_a_parent_that_asked_meanwhile_goes_on() -> None:
    world = _world(tokens=1000)
    (child,) = _spawn(world, Budget(tokens=1000))
    world.send()
    assert world.state.activity is Activity.requires_action

    back = ReturnLease(command_id="C0:9", child_journal_id=child.data.child_journal_id, amounts=Amounts(tokens=300))
    world.tell(back)

    assert left(world.state) == {Resource.tokens: Decimal(300)}
    assert world.running


def _given_back(world: World) -> list[tuple[str, tuple[str, ...], Amounts]]:
    letters = [letter for batch in world.letters for letter in batch]
    told = [(letter, COMMAND.validate_json(letter.body)) for letter in letters]
    return [(one.target_journal_id, one.heirs, said.amounts) for one, said in told if isinstance(said, ReturnLease)]


def _child(**bounds: Any) -> World:
    budget = Budget(**bounds)
    return World(SessionConfig(budget=budget), task=Message.user("do it"), lease=budget)


def test_a_child_gives_back_what_it_did_not_use_when_its_task_is_done_and_asks_before_it_does_more() -> None:
    world = _child(tokens=1000, tool_calls=5)
    world.crash()
    world.answer(world.running[0], "Done.", **_spends(400))

    assert _given_back(world) == [("P", ("PP",), Amounts(tokens=600, tool_calls=5))]
    assert set(left(world.state).values()) == {Decimal(0)}
    world.send("more")
    assert world.state.activity is Activity.requires_action
    assert world.state.actions[0].args == {"tokens": 1000}
    world.settle()
    world.tell(c.Complete(**world.identity()))
    assert len(_given_back(world)) == 1


def test_a_child_that_took_more_than_it_had_gives_back_less_than_nothing() -> None:
    world = _child(tokens=100)
    world.crash()
    world.answer(world.running[0], "Done.", **_spends(150))
    assert _given_back(world) == [("P", ("PP",), Amounts(tokens=-50))]
    assert left(world.state) == {Resource.tokens: Decimal(0)}


def test_what_people_granted_a_child_is_its_own() -> None:
    world = _child(tokens=100)
    world.crash()
    world.answer(world.running[0], _asks("look"), **_spends(100))
    world.settle()
    first = _given_back(world)
    assert first == [("P", ("PP",), Amounts())]

    world = _child(tokens=100)
    world.tell(c.Configure(**world.identity(), budget=Budget(tokens=500), set_fields=("budget",)))
    world.crash()
    world.answer(world.running[0], "Done.", **_spends(30))
    assert _given_back(world) == [("P", ("PP",), Amounts(tokens=70))]
    assert left(world.state) == {Resource.tokens: Decimal(400)}


def test_what_comes_back_to_a_child_whose_lease_has_ended_goes_on_to_its_parent() -> None:
    world = _child(tokens=1000)
    _spawn(world, Budget(tokens=300))
    world.crash()
    world.answer(world.running[0], "Done.", **_spends(100))
    world.tell(ReturnLease(command_id="C0:9", child_journal_id="C0", amounts=Amounts(tokens=250)))
    world.tell(ReturnLease(command_id="C0:12", child_journal_id="CC", amounts=Amounts(tokens=-20)))

    assert [amounts.tokens for *_, amounts in _given_back(world)] == [600, 250, -20]
    assert left(world.state) == {Resource.tokens: Decimal(0)}


# --- whatever happens ------------------------------------------------------------------------------------------------


@settings(max_examples=120)
@given(worlds())
def test_no_call_begins_without_a_budget_for_it_and_each_is_counted_once(world: World) -> None:
    state, tokens, calls = initial(), 0, set[str]()
    for record in world.records:
        before, state = state, apply(state, record)
        if isinstance(record, r.ModelCallStarted):
            assert not is_used_up(before, FOR_MODEL)
        elif isinstance(record, r.ToolCallStarted):
            assert record.data.call_id in calls or not is_used_up(before, FOR_TOOLS)
            calls.add(record.data.call_id)
        elif isinstance(record, r.ModelCallCompleted | r.ModelCallFailed):
            tokens += record.data.usage.total_tokens
        assert sum(action.kind is ActionKind.budget for action in state.actions) <= 1
        assert (used(state).tokens, used(state).tool_calls) == (tokens, len(calls))


@settings(max_examples=120)
@given(worlds(child=True))
def test_a_lease_ends_once_and_never_gives_back_more_than_it_was(world: World) -> None:
    ended = [one for one in world.records if isinstance(one, r.LeaseEnded)]
    given_back = [amounts for *_, amounts in _given_back(world)]
    lease = world.state.account.lease
    assert len(ended) <= 1
    assert sum((one.tokens for one in given_back), 0) == world.state.account.returned.tokens
    if lease is None:
        assert not ended
        assert not given_back
    elif ended:
        assert all(ended[0].data.amounts.each[one] <= bound for one, bound in lease.amounts.bounds.items())
        assert world.state.task is None or world.state.lifecycle.ended
    elif world.state.turn is None:
        assert world.state.task is not None
        assert not world.state.lifecycle.ended
    row = standing(world.state)
    assert row is None or all(bound >= 0 for bound in row.remaining.bounds.values())
