"""Steps that a session can be taken through, as hypothesis invents them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from actors.domain import commands as c
from actors.domain.actions import CHOICES, Resolution
from actors.domain.calls import Attached, CallStatus, ModelCall, ModelOutcome, Outcome, ToolOutcome
from actors.domain.llm import LlmConfig
from actors.domain.messages import PARSE_ERROR, Base64Source, ImageBlock, Message, StopReason, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy, OnBusy, OnInDoubt, TimeoutAction
from actors.domain.session import SessionConfig
from actors.session.plan import CallAnswered, CallLost, CommandGiven, Happening, TimersDue, WorldChanged
from tests.unit.session.world import ALL_TOOLS, MODEL, MODELS, World, answered, model_fails, model_says

Step = Callable[[World], Happening]
"""Changes the world, or looks at it, and says what happens."""

_IDS = st.sampled_from(["a", "b", "call_0"])
_TEXTS = st.sampled_from(["Done.", "Let me look:", "", "ünï 🎭", "x" * 40_000])
_ARGS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"path": "a"}, {"path": "b"}, {"n": 1}, {PARSE_ERROR: "broken", "raw": "{"}]
)
_PNG = ImageBlock(source=Base64Source(media_type="image/png", data="aGk="))


@st.composite
def _answers(draw: st.DrawFn) -> ModelOutcome:
    names = draw(st.sampled_from([["look"], ["act", "put", "look"], ["act", "put", "look"], ["nosuch", "look"]]))
    calls = draw(st.lists(st.builds(ToolUseBlock, id=_IDS, name=st.sampled_from(names), input=_ARGS), max_size=3))
    stop = draw(st.sampled_from([StopReason.end_turn, StopReason.max_tokens]))
    thinking = draw(st.sampled_from([None, "hm"]))
    message = Message.assistant(draw(_TEXTS), *calls).model_copy(update={"reasoning_content": thinking})
    return model_says(message, stop_reason=stop, cost_usd=draw(st.sampled_from(["0.01", None])))


_model_outcomes = st.sampled_from(["answer"] * 10 + ["fail", "other"]).flatmap(
    {
        "answer": _answers(),
        "fail": st.builds(model_fails, retryable=st.sampled_from([True, True, False])),
        "other": st.builds(ModelOutcome, outcome=st.sampled_from([Outcome.cancelled, Outcome.unknown, Outcome.timeout])),
    }.__getitem__
)
_tool_outcomes = st.builds(
    ToolOutcome,
    outcome=st.sampled_from([Outcome.ok, Outcome.ok, *Outcome]),
    content=st.sampled_from(["", "result", "x" * 40_000]),
    images=st.sampled_from([(), (_PNG,)]),
    metadata=st.sampled_from([{}, {"path": "a", "n": 1.5}]),
)


@st.composite
def _call_steps(draw: st.DrawFn, ends: list[str]) -> Step:
    """A call is answered, dropped or lost; mostly one that runs, sometimes one that is over."""
    which = draw(st.integers(0, 5))
    old = draw(st.integers(0, 9)) == 0
    how = draw(st.sampled_from(ends))
    model, tool = draw(_model_outcomes), draw(_tool_outcomes)
    late = draw(st.booleans())

    def step(world: World) -> Happening:
        calls = list(world.seen.values()) if old else list(world.running)
        if not calls:
            return WorldChanged()
        call = calls[which % len(calls)]
        outcome = model if isinstance(call, ModelCall) else tool
        if how == "lose":
            return CallLost(answered(call, None), "the host died")
        if how == "answer":
            return CallAnswered(answered(call, outcome), late=late and old)
        status = CallStatus.settled_dropped if how == "drop" else CallStatus.cancelled
        return CallAnswered(Attached(key=call.key, status=status))

    return step


_configurations: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"permission_policy": None},
        {"permission_policy": PermissionPolicy.permissive()},
        {"permission_policy": PermissionPolicy(deny=["act"], allow=["look"])},
        {"confirmation_policy": ConfirmationPolicy.auto_approve_all()},
        {"confirmation_policy": ConfirmationPolicy(timeout_action=TimeoutAction.auto_approve)},
        {"confirmation_policy": None},
        {"model": LlmConfig.of("scripted/echo")},
        {"model": None},
        {"thinking_enabled": True, "thinking_budget": 2048},
        {"name": "other", "system_prompt": "be brief"},
        {"thinking_budget": 1},
    ]
)


@st.composite
def _command_steps(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from([*_COMMANDS, *["send", "resolve", "resume"] * 6, "withdraw", "configure"]))
    which = draw(st.integers(0, 5))
    text = draw(st.sampled_from(["hello", "x" * 40_000]))
    on_busy = draw(st.sampled_from(list(OnBusy)))
    resolution = draw(st.sampled_from([*Resolution, *[Resolution.approve, Resolution.retry] * 3]))
    args = draw(st.sampled_from([None, None, {"path": "edited"}]))
    changes = draw(_configurations)

    def step(world: World) -> Happening:
        given: dict[str, Any] = {
            "text": text,
            "on_busy": on_busy,
            "which": which,
            "resolution": resolution,
            "args": args,
            "changes": changes,
        }
        return CommandGiven(_COMMANDS[kind](world, given))

    return step


def _message(given: dict[str, Any]) -> Message:
    return Message.tool_result("a", "a result of nothing") if given["which"] == 5 else Message.user(given["text"])


def _send(world: World, given: dict[str, Any]) -> c.Command:
    return c.Send(**world.identity(), message=_message(given), on_busy=given["on_busy"])


def _withdraw(world: World, given: dict[str, Any]) -> c.Command:
    ids = [item.input_id for item in world.state.queue] or ["nobody"]
    return c.WithdrawInput(**world.identity(), input_id=ids[given["which"] % len(ids)])


def _resolve(world: World, given: dict[str, Any]) -> c.Command:
    ids = [action.action_id for action in world.state.actions] or ["nothing"]
    resolution = given["resolution"]
    if (found := world.state.action(ids[given["which"] % len(ids)])) and resolution not in CHOICES[found.kind]:
        resolution = sorted(CHOICES[found.kind])[given["which"] % len(CHOICES[found.kind])]
    return c.ResolveAction(
        **world.identity(),
        action_id=ids[given["which"] % len(ids)],
        resolution=resolution,
        args=given["args"] if resolution is Resolution.approve else None,
        value="the value" if resolution is Resolution.answer else None,
    )


def _configure(world: World, given: dict[str, Any]) -> c.Command:
    return c.Configure(**world.identity(), **given["changes"], set_fields=tuple(given["changes"]))


def _child(world: World, given: dict[str, Any]) -> c.Command:
    number = f"child{world.commands}"
    return c.CreateChild(
        **world.identity(), child_id=number, child_journal_id=number.upper(), config=SessionConfig(name=given["text"][:5])
    )


_COMMANDS: dict[str, Callable[[World, dict[str, Any]], c.Command]] = {
    "send": _send,
    "add": lambda world, given: c.AddMessage(**world.identity(), message=_message(given)),
    "withdraw": _withdraw,
    "cancel": lambda world, _: c.Cancel(**world.identity()),
    "pause": lambda world, _: c.Pause(**world.identity()),
    "resume": lambda world, _: c.Resume(**world.identity()),
    "clear": lambda world, _: c.Clear(**world.identity()),
    "complete": lambda world, given: c.Complete(
        **world.identity(), error="broken" if given["resolution"] is Resolution.retry else None
    ),
    "configure": _configure,
    "resolve": _resolve,
    "child": _child,
}


@st.composite
def _time_steps(draw: st.DrawFn) -> Step:
    seconds = draw(st.sampled_from([1.0, 31.0, 31.0, 31.0, -5.0, 4000.0]))

    def step(world: World) -> Happening:
        world.pass_time(seconds)
        return TimersDue()

    return step


_SURROUNDINGS: list[dict[str, Any]] = [
    {"tools": {}},
    {"tools": ALL_TOOLS},
    {"model_host": None},
    {"model_host": MODELS, "model_error": None},
    {"model_host": None, "model_error": ("ModelUnavailable", "no host")},
    {"default_model": None},
    {"default_model": MODEL, "model_host": MODELS, "model_error": None},
    {"default_model": MODEL, "model_host": MODELS, "model_error": None, "tools": ALL_TOOLS},
    {"global_policy": PermissionPolicy(deny=["put"])},
    {"global_policy": None},
]


@st.composite
def _world_steps(draw: st.DrawFn) -> Step:
    changes = draw(st.sampled_from(_SURROUNDINGS))

    def step(world: World) -> Happening:
        world.surround(**changes)
        return WorldChanged()

    return step


def _crash(world: World) -> Happening:
    world.crash()
    return WorldChanged()


_CALM = ["answer"] * 14 + ["drop", "never", "lose", "lose"]
_ROUGH = ["answer"] * 3 + ["drop", "lose", "lose"]


def _steps(ends: list[str]) -> st.SearchStrategy[Step]:
    kinds: dict[str, st.SearchStrategy[Step]] = {
        "call": _call_steps(ends),
        "command": _command_steps(),
        "time": _time_steps(),
        "world": _world_steps(),
        "crash": st.just(_crash),
    }
    return st.sampled_from(["call"] * 12 + ["command"] * 5 + ["time", "world", "crash"]).flatmap(kinds.__getitem__)


configs = st.builds(
    SessionConfig,
    permission_policy=st.sampled_from([None, PermissionPolicy.permissive(), PermissionPolicy.permissive()]),
    max_rounds=st.sampled_from([2, 50]),
    max_parse_retries=st.sampled_from([0, 2]),
    circuit_breaker_threshold=st.sampled_from([1, 3]),
    duplicate_call_threshold=st.sampled_from([1, 3]),
    on_in_doubt=st.sampled_from(list(OnInDoubt)),
)


trusting_configs = st.builds(
    SessionConfig,
    permission_policy=st.just(PermissionPolicy.permissive()),
    on_in_doubt=st.sampled_from([OnInDoubt.ask, OnInDoubt.ask, OnInDoubt.report, OnInDoubt.fail]),
)
"""Sessions that run what they are told and never run an unsafe call again by themselves."""


@st.composite
def worlds(draw: st.DrawFn, *, rough: bool = False) -> World:
    """A session that has been through anything; ``rough``: its hosts die often."""
    world = World(draw(trusting_configs if rough else configs))
    steps = _steps(_ROUGH if rough else _CALM)
    world.send()
    pending: list[Happening] = []
    for step, alone in draw(st.lists(st.tuples(steps, st.booleans()), min_size=8, max_size=40)):
        pending.append(step(world))
        if alone:
            world.happen(*pending)
            pending = []
    world.happen(*pending)
    return world
