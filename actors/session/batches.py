"""The tool ``batch``: several calls that do not depend on each other, as one call of the model's. Pure.

When it begins, the calls within join the round, each a tool call as any other: with its own identity and records,
judged by the permissions, approved, limited, run, and in doubt by itself. They run side by side, whatever they do: the
model has said that they do not depend on each other. Once all are settled, their results together are the batch's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import Field

from actors.domain.base import Frozen
from actors.domain.calls import Outcome
from actors.domain.messages import TextBlock, ToolResultBlock, decode_messages
from actors.domain.records import Draft, ResultContent
from actors.domain.tools import EffectClass, ToolDefinition
from actors.session.tool_call import CallPhase, ToolCallState
from actors.session.tool_drafts import completed
from actors.session.turn import Turn

MAX_CALLS: Final = 16
"""Calls of one batch: what a model can keep apart, and sixteen results are 400,000 tokens at the worst."""

BATCH: Final = ToolDefinition(
    name="batch",
    description=(
        "Run several tool calls that do not depend on each other side by side, and get their results together. Each is "
        "permitted or refused, runs or fails by itself. A batch in a batch is not possible."
    ),
    parameters={
        "type": "object",
        "properties": {
            "invocations": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_CALLS,
                "items": {
                    "type": "object",
                    "properties": {
                        "tool": {"type": "string", "minLength": 1, "description": "Name of the tool."},
                        "args": {"type": "object", "description": "Its arguments."},
                    },
                    "required": ["tool"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["invocations"],
        "additionalProperties": False,
    },
    effect=EffectClass.unsafe,
)


class Invocation(Frozen):
    """One call within a batch."""

    tool: str = Field(min_length=1, max_length=256)
    args: dict[str, Any] = {}


class BatchArgs(Frozen):
    """Arguments of ``batch``."""

    invocations: tuple[Invocation, ...] = Field(min_length=1, max_length=MAX_CALLS)


def calls_within(call: ToolCallState, first: int) -> tuple[ToolCallState, ...]:
    """The calls of a batch that has begun, as they join the round from index ``first`` on."""
    given = BatchArgs.model_validate(call.args).invocations
    return tuple(
        ToolCallState(
            index=first + place,
            tool_use_id=f"{call.tool_use_id}:{place + 1}",
            name=one.tool,
            args=one.args,
            batch=call.index,
        )
        for place, one in enumerate(given)
    )


def next_group(waiting: Iterable[ToolCallState]) -> list[ToolCallState]:
    """Of the calls that are not settled, those that may be under way now: the first, or all that are in its batch."""
    first = min(waiting, key=lambda call: call.place, default=None)
    if first is None:
        return []
    return [first] if first.batch is None else [one for one in waiting if one.batch == first.batch]


def ended(turn: Turn, call: ToolCallState) -> Draft:
    """All calls within are settled: their results, in their order. One good one makes the batch a success."""
    within = [one for one in turn.calls if one.batch == call.index]
    results = [_result(one) for one in within]
    good = any(not result.is_error for result in results)
    told = [
        {"tool": one.name, "tool_use_id": one.tool_use_id, "is_error": result.is_error}
        for one, result in zip(within, results, strict=True)
    ]
    return completed(
        turn,
        call,
        Outcome.ok if good else Outcome.error,
        _together(within, results),
        exit_code=0 if good else 1,
        metadata={"calls": told},
    )


def all_settled(calls: Iterable[ToolCallState], batch: int) -> bool:
    """Whether nothing within a batch is still to come."""
    return all(one.phase is CallPhase.settled for one in calls if one.batch == batch)


def _result(call: ToolCallState) -> ToolResultBlock:
    (message,) = decode_messages([call.result] if call.result is not None else [])
    (block,) = (block for block in message.content if isinstance(block, ToolResultBlock))
    return block


def _together(within: Iterable[ToolCallState], results: Iterable[ToolResultBlock]) -> ResultContent:
    parts: list[Any] = []
    text = ""
    for number, (call, result) in enumerate(zip(within, results, strict=True), 1):
        gap = "" if number == 1 else "\n\n"
        text += f"{gap}## Call {number}: {call.name}{' (error)' if result.is_error else ''}\n"
        for part in _parts(result):
            if isinstance(part, TextBlock):
                text += part.text
            else:
                parts += [TextBlock(text=text), part]
                text = ""
    if not parts:
        return text
    return (*parts, TextBlock(text=text)) if text else tuple(parts)


def _parts(result: ToolResultBlock) -> Iterator[Any]:
    if isinstance(result.content, str):
        yield TextBlock(text=result.content)
    else:
        yield from result.content
