"""Tools that a session carries out by itself, by records alone: ``spawn_children``, ``sleep`` and ``batch``. Pure.

They need no host: a call begins with its record, what it waits for comes as records of others (``child.completed``,
``timer.fired``), and its result follows from those. So it cannot be in doubt, waits as well without a process as with
one, and to everything else (permissions, approvals, limits, events) it is a tool as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from actors.domain.base import Frozen
from actors.domain.calls import HostRef, Outcome
from actors.domain.children import Birth, ChildOutcome, ChildReport
from actors.domain.ids import derived_id, derived_journal_ids
from actors.domain.messages import Message, TextBlock, TextPart
from actors.domain.records import Draft, ResultContent, Wait
from actors.domain.tools import EffectClass, ToolDefinition
from actors.session import batches
from actors.session.batches import BATCH, BatchArgs
from actors.session.children import endowed
from actors.session.children import started as born_by
from actors.session.ports import ToolSpec
from actors.session.state import State
from actors.session.surroundings import Surroundings
from actors.session.tool_call import ToolCallState
from actors.session.tool_drafts import completed, denied, started
from actors.session.turn import Turn

MAX_TASKS: Final = 64
"""Children of one call: what a model can keep apart, and one append of the parent."""

MAX_SLEEP_S: Final = 30 * 86_400
"""Longest sleep: whoever wants to come back later than in a month had better be sent a message then."""

OWN: Final = HostRef(host_id="session", incarnation="session")
"""In the place of a host in the records of these calls."""


class SpawnArgs(Frozen):
    """Arguments of ``spawn_children``."""

    tasks: tuple[Annotated[str, Field(pattern=r"\S")], ...] = Field(min_length=1, max_length=MAX_TASKS)
    wait: Literal["all", "first"] | int = "all"

    @property
    def answers(self) -> int:
        """How many children have to report."""
        return {"all": len(self.tasks), "first": 1}.get(str(self.wait), 0) or int(self.wait)


class SleepArgs(Frozen):
    """Arguments of ``sleep``."""

    seconds: float = Field(gt=0, le=MAX_SLEEP_S)


_SPAWN: Final = ToolDefinition(
    name="spawn_children",
    description=(
        "Give each task to a child agent of its own, and wait for their answers. The children work side by side, see "
        "nothing of this conversation, and have the same tools. Answers come in the order of the tasks. Those that "
        "are not waited for go on by themselves."
    ),
    parameters={
        "type": "object",
        "properties": {
            "tasks": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "minItems": 1,
                "maxItems": MAX_TASKS,
                "description": "What each child has to do, with everything that it has to know.",
            },
            "wait": {
                "anyOf": [{"enum": ["all", "first"]}, {"type": "integer", "minimum": 1}],
                "default": "all",
                "description": "For how many answers to wait: all, first, or a number.",
            },
        },
        "required": ["tasks"],
        "additionalProperties": False,
    },
    effect=EffectClass.unsafe,
)

_SLEEP: Final = ToolDefinition(
    name="sleep",
    description="Do nothing for a number of seconds, at most 30 days. It costs nothing.",
    parameters={
        "type": "object",
        "properties": {"seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SLEEP_S}},
        "required": ["seconds"],
        "additionalProperties": False,
    },
    effect=EffectClass.pure,
)

OWN_TOOLS: Final[Mapping[str, ToolSpec]] = {
    one.name: ToolSpec(definition=one, host=OWN) for one in (_SLEEP, _SPAWN, BATCH)
}
"""The tools that every session has, whatever hosts there are."""


def with_own(tools: Iterable[ToolSpec], tenant: str = "", journal_id: str = "") -> dict[str, ToolSpec]:
    """The tools of hosts that a session can use, and those that need no host, by name."""
    mine = {spec.definition.name: spec for spec in tools if spec.is_for(tenant, journal_id)}
    return {**mine, **OWN_TOOLS}


def shared_definitions(tools: Iterable[ToolSpec], tenant: str) -> tuple[ToolDefinition, ...]:
    """What all sessions of a tenant can use, by name."""
    shared = with_own((spec for spec in tools if spec.journal_id is None), tenant)
    return tuple(shared[name].definition for name in sorted(shared))


def begun(state: State, turn: Turn, call: ToolCallState, around: Surroundings) -> Iterator[Draft]:
    """The records with which the call begins; only a refusal when its arguments do not fit."""
    try:
        if call.name == _SLEEP.name:
            sleep = SleepArgs.model_validate(call.args)
            yield started(turn, call, OWN_TOOLS[call.name], OWN, Wait(for_ms=round(sleep.seconds * 1000)))
            return
        if call.name == BATCH.name:
            yield _batched(turn, call, BatchArgs.model_validate(call.args))
            return
        spawn = SpawnArgs.model_validate(call.args)
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "arguments"
        yield denied(turn, call, "invalid_args", f"Error: {where}: {problem['msg']}. Call {call.name} again.")
        return
    yield from _spawned(state, turn, call, spawn, around)


def _batched(turn: Turn, call: ToolCallState, args: BatchArgs) -> Draft:
    if any(one.tool == BATCH.name for one in args.invocations):
        return denied(turn, call, "invalid_args", "Error: a batch cannot stand in a batch. Give its calls here.")
    return started(turn, call, OWN_TOOLS[call.name], OWN, Wait(calls=len(args.invocations)))


def _spawned(state: State, turn: Turn, call: ToolCallState, args: SpawnArgs, around: Surroundings) -> Iterator[Draft]:
    count = len(args.tasks)
    if not 1 <= args.answers <= count:
        yield denied(turn, call, "invalid_args", f"Error: wait: {count} tasks cannot give {args.answers} answers.")
        return
    births = endowed(state, [Birth(task=Message.user(task)) for task in args.tasks])
    if isinstance(births, str):
        yield denied(turn, call, "child_limit", f"Error: {births}")
        return
    place = (state.journal_id, turn.turn_id, turn.round, call.index)
    stem = derived_id(f"{state.session_id[:96]}-", *place)
    names = [f"{stem}-{number}" for number in range(1, count + 1)]
    if not around.taken.isdisjoint(names):
        yield denied(turn, call, "session_exists", "Error: the names made for the children are in use. Try again.")
        return
    yield started(turn, call, OWN_TOOLS[call.name], OWN, Wait(answers=args.answers))
    for name, journal_id, birth in zip(names, derived_journal_ids(count, *place), births, strict=True):
        yield from born_by(name, journal_id, birth, turn.turn_id, index=call.index)


def cancelled(turn: Turn, call: ToolCallState, reason: str) -> Draft:
    """The call is not waited for any longer. Its outcome is known at once: there is nobody to ask."""
    what = "The sleep was cut short" if call.name == _SLEEP.name else "Nobody waits for the children any longer"
    return completed(turn, call, Outcome.cancelled, f"{what}: {reason}.", exit_code=1)


def ended(turn: Turn, call: ToolCallState) -> Draft:
    """What the call waited for has come."""
    if call.name == BATCH.name:
        return batches.ended(turn, call)
    if call.name == _SLEEP.name:
        return completed(turn, call, Outcome.ok, f"Slept for {SleepArgs.model_validate(call.args).seconds:g} s.")
    any_good = any(report.outcome is ChildOutcome.completed for report in call.reports)
    return completed(
        turn,
        call,
        Outcome.ok if any_good else Outcome.error,
        _answers(call),
        exit_code=0 if any_good else 1,
        metadata={"children": [report.child_id for report in call.reports]},
    )


def _answers(call: ToolCallState) -> ResultContent:
    """The answers in the order of the tasks. Text that the store keeps stays there."""
    told = {report.child_journal_id: report for report in call.reports}
    parts: list[TextPart] = []
    text = ""
    for number, journal_id in enumerate(call.children, 1):
        report = told.get(journal_id)
        text += f"## Task {number}: {_standing(report)}\n"
        for part in (TextBlock(text=_told(report)),) if report is None or not report.parts else report.parts:
            if isinstance(part, TextBlock):
                text += part.text
            else:
                parts += [TextBlock(text=text), part]
                text = ""
        text += "\n\n" if number < len(call.children) else ""
    if not parts:
        return text
    return (*parts, TextBlock(text=text)) if text else tuple(parts)


def _standing(report: ChildReport | None) -> str:
    return f"{report.outcome} ({report.child_id})" if report is not None else "not waited for"


def _told(report: ChildReport | None) -> str:
    if report is None:
        return ""
    return report.text if report.outcome is ChildOutcome.completed else f"Error ({report.code}): {report.message}"
