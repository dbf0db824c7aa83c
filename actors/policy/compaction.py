"""When a conversation is too long for its model, and what goes: pure decisions over messages.

First large old tool outputs are pruned; when that does not save enough, the middle of the conversation gives way to a
summary that the model writes, and without a model to nothing. A cut never parts a tool call from its result, since
providers refuse such a history. The transcript in the journal stays whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.domain.messages import Message, ToolResultBlock, ToolUseBlock
from actors.policy.sizes import estimate_tokens, output_tokens, weight
from actors.policy.summaries import is_summary

KEEP_FIRST = 2
"""Messages at the beginning that stay: usually the task, and the plan that was made of it."""

KEEP_LAST = 20
"""Messages at the end that stay."""

MIN_MESSAGES = 30
"""A conversation of so many messages is short: a summary of what lies between the others would save little."""

PROTECTED_TOKENS = 40_000
"""Estimated tokens of the newest tool outputs that are never pruned: the model works with them."""

MIN_SAVING_TOKENS = 20_000
"""Estimated tokens that pruning must save to be worth the lost cache of the provider."""

PRUNED = "[Old tool output pruned to save context. Run the tool again if it is needed.]"


class Cut(NamedTuple):
    """The messages from ``start`` up to, but not including, ``end`` go."""

    start: int
    end: int


def should_compact(used: int, window: int, threshold: float) -> bool:
    """Whether so much of the window is used that the context is compacted by itself; never for a window of 0."""
    return window > 0 and used / window >= threshold


# --- pruning ---------------------------------------------------------------------------------------------------------


def prunable(messages: Sequence[Message], window: int) -> tuple[int, ...]:
    """Places of the messages whose tool outputs may go, oldest first; none when too little would be saved.

    Args:
        messages: The conversation.
        window: Tokens that it has to fit into; where that is little, less is protected and less is worth the while.
    """
    protects = min(PROTECTED_TOKENS, window // 2)
    protected = saved = 0
    places: list[int] = []
    for place in range(len(messages) - 1, -1, -1):
        outputs = _outputs(messages[place])
        size = sum(map(output_tokens, outputs))
        if protected < protects:
            protected += size
        elif size > len(outputs) * estimate_tokens(PRUNED):
            places.append(place)
            saved += size
    return tuple(reversed(places)) if saved >= min(MIN_SAVING_TOKENS, protects // 2) else ()


def _outputs(message: Message) -> list[ToolResultBlock]:
    return [block for block in message.content if isinstance(block, ToolResultBlock)]


def prune(message: Message) -> Message:
    """The message with a marker in the place of its tool outputs."""
    content = tuple(
        block.model_copy(update={"content": PRUNED}) if isinstance(block, ToolResultBlock) else block
        for block in message.content
    )
    return message.model_copy(update={"content": content})


# --- cutting ---------------------------------------------------------------------------------------------------------


def middle(messages: Sequence[Message], window: int) -> Cut | None:
    """What lies between the first and the last messages of a long conversation; None of a short one."""
    if len(messages) <= MIN_MESSAGES:
        return None
    cut = _between(messages, window // 2)
    return cut if cut.end - cut.start > 1 else None


def most(messages: Sequence[Message], window: int) -> Cut | None:
    """What goes of a conversation that does not fit, however few messages it has; None when all of it is needed."""
    room = min(window, sum(map(weight, messages))) // 2
    start, end = _between(messages, room)
    gone = messages[start:end]
    return Cut(start, end) if gone and not all(map(is_summary, gone)) else None


def oldest(messages: Sequence[Message], window: int) -> Cut | None:
    """What goes when nobody can write a summary: all but the last messages; None when there are no more."""
    if len(messages) <= KEEP_LAST:
        return None
    end = _end(messages, _safe_places(messages), 0, window // 2)
    return Cut(0, end) if end else None


def _between(messages: Sequence[Message], room: int) -> Cut:
    """The cut that leaves the first messages, where they are small, and of the last ones what fits into ``room``."""
    safe = _safe_places(messages)
    start = max(place for place in safe if place <= KEEP_FIRST)
    if sum(map(weight, messages[:start])) > room // 4:
        start = 0
    return Cut(start, _end(messages, safe, start, room))


def _end(messages: Sequence[Message], safe: Sequence[int], start: int, room: int) -> int:
    """Where the last messages begin: so many as are kept, or as fit, but never less than a call with its results."""
    places = [place for place in safe if place > start]
    if not places:
        return start
    usual = len(messages) - KEEP_LAST
    chosen = max((place for place in places if place <= usual), default=places[0])
    left = sum(map(weight, messages[chosen:]))
    for place in places[places.index(chosen) + 1 :]:
        if left <= room:
            break
        left -= sum(map(weight, messages[chosen:place]))
        chosen = place
    return chosen


def _safe_places(messages: Sequence[Message]) -> list[int]:
    """Places in front of which may be cut: no call stands before one with its result behind it. The first is 0."""
    called: dict[str, int] = {}
    unsafe: set[int] = set()
    for place, message in enumerate(messages):
        for block in message.content:
            if isinstance(block, ToolUseBlock):
                called[block.id] = place
            elif isinstance(block, ToolResultBlock):
                unsafe.update(range(called.get(block.tool_use_id, place - 1) + 1, place + 1))
    return [place for place in range(len(messages)) if place == 0 or place not in unsafe] or [0]
