"""Journeys of a session: any commands, answers, losses, timers and crashes, in any order.

hypothesis picks a seed and a length; the seed decides the steps, so that a shorter journey is the beginning of a longer
one, and a failure shrinks to the step that matters.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.actions import CHOICES, ActionKind, Resolution
from actors.domain.asking import Asked, Question, QuestionMode, Sampling
from actors.domain.budgets import Amounts, Budget
from actors.domain.calls import RAISED, Attached, CallStatus, ModelCall, ModelOutcome, Outcome, ToolOutcome
from actors.domain.children import ChildOutcome, NewChild
from actors.domain.external_tasks import ExternalTaskResult
from actors.domain.lanes import LaneHandlerConfig, SessionQueueConfig, TaskHandlerMode
from actors.domain.llm import LlmConfig
from actors.domain.messages import PARSE_ERROR, Base64Source, ImageBlock, Message, StopReason, TokenUsage, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy, OnBusy, OnInDoubt, SessionLane, TimeoutAction
from actors.domain.security import OnInjection, Sifted
from actors.domain.session import SessionConfig
from actors.domain.tasks import Task
from actors.session.fold import fold
from actors.session.own_tools import with_own
from actors.session.plan import CallAnswered, CallLost, CommandGiven, Happening, TimersDue, WorldChanged
from actors.session.state import initial
from tests.unit.session.world import (
    MODEL,
    MODELS,
    WITH_OWN,
    World,
    answered,
    model_fails,
    model_has_no_key,
    model_is_full,
    model_is_unpriced,
    model_says,
    reported,
)

LONGEST = 40
"""Steps of the longest journey: some turns, with everything that a turn can hold."""

_LARGE = "x" * 40_000
_PNG = ImageBlock(source=Base64Source(media_type="image/png", data="aGk="))
_TEXTS = ("Done.", "Let me look:", "", "ünï 🎭", _LARGE)
_ARGS: tuple[dict[str, Any], ...] = ({}, {"path": "a"}, {"path": "b"}, {"n": 1}, {PARSE_ERROR: "broken", "raw": "{"})
_TOOL_SETS = (
    ("look",),
    ("act", "put", "look"),
    ("act", "put", "look"),
    ("nosuch", "look"),
    ("spawn_children", "sleep", "look"),
    ("sleep", "look"),
    ("batch", "batch", "look"),
)
_OWN_ARGS: dict[str, tuple[dict[str, Any], ...]] = {
    "spawn_children": (
        {"tasks": ["a"]},
        {"tasks": ["a", "b", _LARGE]},
        {"tasks": ["a", "b", "c"], "wait": "first"},
        {"tasks": ["a", "b", "c"], "wait": 2},
        {"tasks": ["a"], "wait": 7},
        {"tasks": []},
    ),
    "batch": (
        {"invocations": [{"tool": "act"}, {"tool": "look", "args": {"n": 1}}, {"tool": "put"}]},
        {"invocations": [{"tool": "look"}, {"tool": "sleep", "args": {"seconds": 5}}]},
        {"invocations": [{"tool": "spawn_children", "args": {"tasks": ["a"]}}, {"tool": "act"}, {"tool": "nosuch"}]},
        {"invocations": [{"tool": "batch"}]},
        {"invocations": []},
    ),
    "sleep": ({"seconds": 5}, {"seconds": 100}, {"seconds": -1}),
}


@st.composite
def worlds(draw: st.DrawFn, *, rough: bool = False, child: bool = False, lanes: bool = False) -> World:
    """A session that has been through anything.

    Args:
        rough: Its hosts die often, and it asks before it repeats.
        child: It was born with a task.
        lanes: Its lanes have handlers and limits, and time passes more often. It has been through more, since what
            is rare there takes several steps.
    """
    shortest = LONGEST if lanes else 0
    seed, length = draw(st.integers(0, 2**32)), draw(st.integers(shortest, shortest + LONGEST))
    return journey(Random(seed), length, rough=rough, child=child, lanes=lanes)


def journey(rng: Random, length: int, *, rough: bool = False, child: bool = False, lanes: bool = False) -> World:
    """The world after so many steps."""
    config = _trusting_config(rng) if rough else _laned_config(rng) if lanes else _config(rng)
    lease = config.budget if child else None
    world = World(config, task=Message.user("do it") if child else None, lease=lease)
    if not child:
        world.send()
    pending: list[Happening] = []
    for _ in range(length):
        pending.append(_step(world, rng, rough=rough, lanes=lanes))
        if rng.random() < 0.6:
            world.happen(*pending)
            pending = []
    world.happen(*pending)
    return world


def _config(rng: Random) -> SessionConfig:
    return SessionConfig(
        permission_policy=rng.choice([None, PermissionPolicy.permissive(), PermissionPolicy.permissive()]),
        max_rounds=rng.choice([2, 50]),
        max_parse_retries=rng.choice([0, 2]),
        circuit_breaker_threshold=rng.choice([1, 3]),
        duplicate_call_threshold=rng.choice([1, 3]),
        on_in_doubt=rng.choice(list(OnInDoubt)),
        queue_config=rng.choice([None, None, _queue(rng.choice(list(TaskHandlerMode)), **rng.choice(_LIMITS))]),
        budget=rng.choice(_BUDGETS),
        auto_compact=rng.random() < 0.5,
        max_context_length=rng.choice([0, 256, 2000]),
    )


_BUDGETS = (
    None,
    None,
    Budget(tokens=10_000),
    Budget(tokens=60, tool_calls=3),
    Budget(usd="0.05", wall_s=40),  # pyright: ignore[reportArgumentType] - pydantic makes the number
    Budget(tool_calls=0, wall_s=4000.5),
)


def _trusting_config(rng: Random) -> SessionConfig:
    on_in_doubt = rng.choice([OnInDoubt.ask, OnInDoubt.ask, OnInDoubt.report, OnInDoubt.fail])
    return SessionConfig(permission_policy=PermissionPolicy.permissive(), on_in_doubt=on_in_doubt)


def _laned_config(rng: Random) -> SessionConfig:
    queue = _queue(rng.choice(list(TaskHandlerMode)), **rng.choice(_LIMITS))
    return SessionConfig(permission_policy=PermissionPolicy.permissive(), queue_config=queue)


def _step(world: World, rng: Random, *, rough: bool, lanes: bool) -> Happening:
    kinds = {"call": 12, "command": 5, "time": 1, "world": 1, "crash": 1, "flood": 0.4}
    if lanes:
        kinds |= {"command": 1, "time": 5, "world": 0, "task": 6}
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    if kind == "task" and world.state.external_tasks:
        return CommandGiven(rng.choice([_lease, _complete_task])(world, rng))
    if kind == "task":
        kind = "call"
    if kind == "call" and world.silent and rng.random() < 0.3:
        return CommandGiven(_report(world, rng))
    if kind == "call":
        return _call_step(world, rng, rough=rough)
    if kind == "command":
        return CommandGiven(_COMMANDS[rng.choice(_COMMAND_KINDS)](world, rng))
    if kind == "time":
        world.pass_time(rng.choice([1.0, 31.0, 31.0, 31.0, -5.0, 4000.0]))
        return TimersDue()
    if kind == "flood":
        _flood(world, rng)
    elif kind == "world":
        world.surround(**rng.choice(_SURROUNDINGS))
    else:
        world.crash()
    return WorldChanged()


def _flood(world: World, rng: Random) -> None:
    """So many messages that the context is long."""
    said = (Message.user("a question"), Message.assistant("an answer"))
    adding = [c.AddMessage(**world.identity(), message=said[number % 2]) for number in range(rng.choice([20, 34]))]
    world.happen(*map(CommandGiven, adding))


# --- calls -----------------------------------------------------------------------------------------------------------


def _call_step(world: World, rng: Random, *, rough: bool) -> Happening:
    """A call is answered, dropped or lost; mostly one that runs, sometimes one that is over."""
    old = rng.random() < 0.1
    calls = list(world.seen.values()) if old else list(world.running)
    if not calls:
        return WorldChanged()
    call = rng.choice(calls)
    weights = {"answer": 4 if rough else 14, "drop": 1, "never": 0 if rough else 1, "lose": 2}
    how = rng.choices(list(weights), list(weights.values()))[0]
    if how == "lose":
        return CallLost(answered(call, None), "the host died")
    if how == "answer":
        outcome = _model_outcome(call, rng) if isinstance(call, ModelCall) else _tool_outcome(rng)
        return CallAnswered(answered(call, outcome))
    status = CallStatus.settled_dropped if how == "drop" else CallStatus.cancelled
    return CallAnswered(Attached(key=call.key, status=status))


def _model_outcome(call: ModelCall, rng: Random) -> ModelOutcome:
    dice = rng.random()
    if call.priced_only and dice < 0.3:
        return model_is_unpriced()
    if dice < 0.08:
        return model_is_full(rng.choice([None, 300]))
    if dice < 0.15:
        return model_fails(retryable=rng.random() < 0.8)
    if call.llm.credential_id is not None and dice < 0.5:
        return model_has_no_key(call)
    if dice < 0.2:
        return ModelOutcome(outcome=rng.choice([Outcome.cancelled, Outcome.unknown, Outcome.timeout]))
    if call.summary_of is not None:
        return model_says(rng.choice(["It went so.", "It went so.", " ", _LARGE]), cost_usd=rng.choice(["0.02", None]))
    names = rng.choice(_TOOL_SETS)
    calls = [
        ToolUseBlock(id=rng.choice("abc"), name=name, input=rng.choice(_OWN_ARGS.get(name, _ARGS)))
        for name in rng.choices(names, k=rng.choice([0, 0, 1, 1, 2, 3]))
    ]
    message = Message.assistant(rng.choice(_TEXTS), *calls)
    message = message.model_copy(update={"reasoning_content": rng.choice([None, "hm"])})
    stop = StopReason.tool_use if calls else rng.choice([StopReason.end_turn, StopReason.max_tokens])
    used = rng.choice([10, 10, 250, 1900])
    usage = TokenUsage(prompt_tokens=used, completion_tokens=5, total_tokens=used + 5)
    return model_says(message, stop_reason=stop, usage=usage, cost_usd=rng.choice(["0.01", None]))


def _tool_outcome(rng: Random) -> ToolOutcome:
    if rng.random() < 0.15:
        return _asks(rng)
    return ToolOutcome(
        outcome=rng.choice([Outcome.ok, Outcome.ok, *sorted({*Outcome} - {Outcome.input_required})]),
        content=rng.choice(["", "result", "result", _LARGE]),
        images=rng.choice([(), (), (_PNG,)]),
        metadata=rng.choice([{}, {"path": "a", "n": 1.5}, {RAISED: "OSError"}, {RAISED: "OSError"}]),
        sifted=rng.choice([Sifted(), Sifted(), Sifted(), Sifted(withheld={"EMAIL": 1}), _ORDERS]),
    )


_ORDERS = Sifted(orders=("override",), treated=OnInjection.ask)


def _asks(rng: Random) -> ToolOutcome:
    held = rng.random() < 0.5
    questions = (
        Question(key="a", mode=QuestionMode.form, message="Who?", form=_FORM),
        Question(key="b", mode=QuestionMode.url, message="Where?", url="https://b.example/"),
        Question(key="c", mode=QuestionMode.sampling, message="What?", sampling=_sampling(rng)),
        Question(key="d", mode=QuestionMode.sampling, message="And?", sampling=_sampling(rng)),
    )
    asked = Asked(
        questions=rng.choice([questions[:1], questions[:2], questions[1:3], questions[2:3], questions[2:], questions]),
        held=held,
        state=None if held else rng.choice([None, "kept", _LARGE]),
        answer_within_s=rng.choice([60.0, 86_400.0]),
    )
    return ToolOutcome(outcome=Outcome.input_required, content="Who?", asked=asked)


def _sampling(rng: Random) -> Sampling:
    said = (Message.user("What is it?"),)
    return Sampling(messages=said, max_tokens=rng.choice([1, 500]), ask=rng.random() < 0.5, limit=rng.choice([1, 3]))


_FORM: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


# --- commands --------------------------------------------------------------------------------------------------------


def _message(rng: Random) -> Message:
    if rng.random() < 0.1:
        return Message.tool_result("a", "a result of nothing")
    return Message.user(rng.choice(["hello", "hello", "hello", _LARGE]))


def _send(world: World, rng: Random) -> c.Command:
    return c.Send(**world.identity(), message=_message(rng), on_busy=rng.choice(list(OnBusy)))


def _rewind(world: World, rng: Random) -> c.Command:
    first = world.state.context_since if rng.random() < 0.9 else 0
    there = fold(initial(), world.records[: rng.randint(max(first, 1), world.state.seq)])
    return c.Rewind(**world.identity(), to=there.seq, keep=there.whole_messages, used=there.context_used)


def _withdraw(world: World, rng: Random) -> c.Command:
    ids = [item.input_id for item in world.state.queue] or ["nobody"]
    return c.WithdrawInput(**world.identity(), input_id=rng.choice(ids))


def _resolve(world: World, rng: Random) -> c.Command:
    if not world.state.actions:
        return c.ResolveAction(**world.identity(), action_id="nothing", resolution=Resolution.approve)
    action = rng.choice(world.state.actions)
    resolution = rng.choice([*sorted(CHOICES[action.kind]), *sorted(CHOICES[action.kind]), *Resolution])
    return c.ResolveAction(
        **world.identity(),
        action_id=rng.choice([action.action_id, action.tool_use_id]),
        resolution=resolution,
        args=rng.choice(_EDITS[action.kind is ActionKind.budget]) if resolution is Resolution.approve else None,
        value="the value" if resolution is Resolution.answer else None,
        content={"name": "Ada"} if resolution is Resolution.accept and "form" in action.args else None,
    )


_EDITS: tuple[tuple[dict[str, Any] | None, ...], ...] = (
    (None, {"path": "edited"}),
    (None, None, {"tokens": 100, "tool_calls": 2}, {"tokens": 1}, {"usd": "much"}),
)
"""Other arguments of a call, and other amounts of a raise."""


def _queue(mode: TaskHandlerMode, **limits: Any) -> SessionQueueConfig:
    handler = LaneHandlerConfig(mode=mode, timeout_ms=60_000)
    return SessionQueueConfig.model_validate({"lane_handlers": {SessionLane.execute: handler}, **limits})


_LIMITS: tuple[dict[str, Any], ...] = (
    {"execute_max_concurrency": 1, "enable_metrics": True},
    {"retry_policy": {"strategy": "fixed", "fixed_delay_ms": 20_000, "max_retries": 2}, "enable_dlq": True},
    {"rate_limit": {"limit_type": "per_minute", "max_operations": 2}, "enable_dlq": True, "dlq_max_size": 1},
    {"pressure_threshold": 2, "enable_alerts": True},
)


_CHANGES: tuple[dict[str, Any], ...] = (
    {"permission_policy": None},
    {"permission_policy": PermissionPolicy.permissive()},
    {"permission_policy": PermissionPolicy(deny=["act"], allow=["look"])},
    {"confirmation_policy": ConfirmationPolicy.auto_approve_all()},
    {"confirmation_policy": ConfirmationPolicy(timeout_action=TimeoutAction.auto_approve)},
    {"confirmation_policy": None},
    {"model": LlmConfig.of("scripted/echo")},
    {"model": LlmConfig(provider="scripted", model="echo", credential_id="cred_one")},
    {"model": None},
    {"thinking_enabled": True, "thinking_budget": 2048},
    {"name": "other", "system_prompt": "be brief"},
    {"queue_config": None},
    {"budget": None},
    {"budget": Budget(tokens=40, tool_calls=1)},
    {"budget": Budget(tokens=2000, wall_s=500)},
    {"queue_config": _queue(TaskHandlerMode.external)},
    *({"queue_config": _queue(TaskHandlerMode.hybrid, **limits)} for limits in _LIMITS),
)


def _configure(world: World, rng: Random) -> c.Command:
    changes = rng.choice(_CHANGES)
    return c.Configure(**world.identity(), **changes, set_fields=tuple(changes))


def _set_lane_handler(world: World, rng: Random) -> c.Command:
    handler = LaneHandlerConfig(mode=rng.choice(list(TaskHandlerMode)), timeout_ms=rng.choice([20_000, 60_000]))
    return c.SetLaneHandler(**world.identity(), lane=rng.choice(list(SessionLane)), handler=handler)


def _task_id(world: World, rng: Random) -> str:
    return rng.choice([task.action_id for task in world.state.external_tasks] or ["nothing"])


def _lease(world: World, rng: Random) -> c.Command:
    return c.LeaseTask(
        **world.identity(),
        task_id=_task_id(world, rng),
        lease_id=rng.choice(["one", "other"]),
        worker="w",
        lease_ms=rng.choice([10_000, 90_000]),
        prolongs=rng.random() < 0.2,
    )


def _complete_task(world: World, rng: Random) -> c.Command:
    result = rng.choice([{"output": "result"}, {"output": _LARGE, "exit_code": 1}, "no object"])
    return c.CompleteTask(
        **world.identity(),
        task_id=_task_id(world, rng),
        result=ExternalTaskResult(success=rng.random() < 0.7, result=result),
        lease_id=rng.choice([None, None, "one", "other"]),
    )


def _report(world: World, rng: Random) -> c.Command:
    outcome = rng.choice(list(ChildOutcome))
    return reported(rng.choice(world.silent), outcome=outcome, text=rng.choice(["", "an answer", "y" * 20_000]))


def _child(world: World, rng: Random) -> c.Command:
    name = f"child{rng.random()}"
    child = NewChild(
        child_id=name,
        child_journal_id=name.upper(),
        task=rng.choice([None, Message.user(_LARGE)]),
        config=SessionConfig(budget=rng.choice([None, Budget(tokens=20), Budget(tool_calls=1)])),
    )
    return c.SpawnChildren(**world.identity(), children=(child,))


def _give_back(world: World, rng: Random) -> c.Command:
    """A child gives back some of what it has left, or less than nothing; one that has nothing gives nothing."""
    given = {one.data.child_journal_id: one.data.amounts for one in world.records if isinstance(one, r.LeaseGranted)}
    child = rng.choice([*given, "nobody"])
    tokens = (given[child].tokens or 0) if child in given else 0
    amounts = Amounts(tokens=rng.choice([0, tokens, tokens - 50]))
    return c.ReturnLease(**world.identity(), child_journal_id=child, amounts=amounts)


def _tasks(world: World, rng: Random) -> c.Command:
    tasks = tuple(Task(id=str(number), content="x") for number in range(rng.choice([0, 1, 3])))
    return c.SetTasks(**world.identity(), tasks=tasks)


_COMMANDS: dict[str, Callable[[World, Random], c.Command]] = {
    "send": _send,
    "add": lambda world, rng: c.AddMessage(**world.identity(), message=_message(rng)),
    "withdraw": _withdraw,
    "cancel": lambda world, _: c.Cancel(**world.identity()),
    "pause": lambda world, _: c.Pause(**world.identity()),
    "resume": lambda world, _: c.Resume(**world.identity()),
    "clear": lambda world, _: c.Clear(**world.identity()),
    "compact": lambda world, rng: c.Compact(**world.identity(), only_when_due=rng.random() < 0.5),
    "title": lambda world, _: c.GenerateTitle(**world.identity()),
    "rewind": _rewind,
    "complete": lambda world, rng: c.Complete(**world.identity(), error=rng.choice([None, "broken"])),
    "configure": _configure,
    "resolve": _resolve,
    "child": _child,
    "back": _give_back,
    "tasks": _tasks,
    "handler": _set_lane_handler,
    "lease": _lease,
    "task": _complete_task,
}
_COMMAND_KINDS = (
    *_COMMANDS,
    *("send", "resolve", "resume") * 6,
    *("lease", "task", "task") * 2,
    "withdraw",
    "configure",
    "compact",
)

_SURROUNDINGS: tuple[dict[str, Any], ...] = (
    {"tools": with_own(())},
    {"tools": WITH_OWN},
    {"model_host": None},
    {"model_host": None, "model_error": ("ModelUnavailable", "no host")},
    {"default_model": None},
    {"default_model": LlmConfig(provider="scripted", model="echo", credential_id="cred_other")},
    {"default_model": MODEL, "model_host": MODELS, "model_error": None},
    {"default_model": MODEL, "model_host": MODELS, "model_error": None, "tools": WITH_OWN},
    {"global_policy": PermissionPolicy(deny=["put"])},
    {"global_policy": None},
)
