"""Histories that providers accept: between any sequence of messages and the strict order of both wires.

A history may hold anything: calls without results after a cancel or a crash, results without calls after compaction,
results out of order, ids used twice or made by another provider. ``normalise`` turns it into turns in which the rules
cannot be broken: a call carries its result, and everything else is in order by construction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.domain.blobs import inflate
from actors.domain.messages import (
    Base64Source,
    BlobTextBlock,
    ImageBlock,
    Message,
    Role,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""Media types that both providers take."""

MAX_CALL_ID = 40
"""Longest tool call id: OpenAI refuses more than 40 characters, and a history may move from one provider to another."""

NO_RESULT = "No result: the call was interrupted before it finished."
NO_OUTPUT = "(no output)"
NO_TEXT = "(no text)"
"""Stands where a provider wants a user message and the history has none."""

Part = TextBlock | ImageBlock
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


@dataclass
class Call:
    """A tool call with an id that is unique in the history, and its result: text and images, never empty."""

    id: str
    name: str
    input: dict[str, Any]
    result: list[Part] = field(default_factory=list[Part])
    is_error: bool = False
    answered: bool = False


@dataclass
class UserTurn:
    """What the user side says: texts with more than blanks, and images; at least one."""

    parts: list[Part]


@dataclass
class AssistantTurn:
    """What the assistant said, at least one text or call."""

    texts: list[str]
    calls: list[Call]
    thinking: str | None = None
    signature: str | None = None


Turn = UserTurn | AssistantTurn


def normalise(messages: Sequence[Message]) -> list[Turn]:
    """The history as turns.

    Returns:
        At least one turn, the first a UserTurn. Two UserTurns never follow each other, nor does an AssistantTurn
        follow one without calls. Each call has a result; ids match ``[A-Za-z0-9_-]{1,40}`` and are unique.
    """
    builder = _Builder(_ids_in(messages))
    for message in messages:
        builder.add(inflate(message, {}))
    return builder.finish()


def joined_text(parts: Iterable[Part]) -> str:
    """The texts of some parts, a blank line between them."""
    return "\n\n".join(part.text for part in parts if isinstance(part, TextBlock))


def images_in(parts: Iterable[Part]) -> list[ImageBlock]:
    """The images of some parts."""
    return [part for part in parts if isinstance(part, ImageBlock)]


def image_data(image: ImageBlock) -> tuple[str, str]:
    """Media type and base64 of an image of a normalised history."""
    source = image.source
    return (source.media_type, source.data) if isinstance(source, Base64Source) else ("", "")


def _ids_in(messages: Sequence[Message]) -> set[str]:
    return {call.id for message in messages for call in message.tool_calls}


class _Builder:
    """Walks over messages and appends turns; ``reserved`` are the ids that the history uses itself."""

    def __init__(self, reserved: set[str]) -> None:
        self._reserved = reserved
        self._used: set[str] = set()
        self._turns: list[Turn] = []
        # For each id the calls that wait for a result, newest answer last; within one answer in order.
        self._waiting: dict[str, list[list[Call]]] = {}

    def add(self, message: Message) -> None:
        if message.role is Role.assistant:
            self._add_assistant(message)
        else:
            self._add_parts(message.content)

    def finish(self) -> list[Turn]:
        for turn in self._turns:
            for call in turn.calls if isinstance(turn, AssistantTurn) else ():
                if not call.answered:
                    call.result, call.is_error = [TextBlock(text=NO_RESULT)], True
        if not self._turns or isinstance(self._turns[0], AssistantTurn):
            self._turns.insert(0, UserTurn([TextBlock(text=NO_TEXT)]))
        return self._turns

    def _add_assistant(self, message: Message) -> None:
        texts = [block.text for block in message.content if isinstance(block, TextBlock) and block.text.strip()]
        calls = self._open_calls(message.tool_calls)
        if texts or calls:
            self._put_assistant(AssistantTurn(texts, calls, message.reasoning_content, message.reasoning_signature))
        # A result in an assistant's message is a mistake of whoever wrote it; it still answers its call.
        self._add_parts(block for block in message.content if isinstance(block, ToolResultBlock))

    def _put_assistant(self, turn: AssistantTurn) -> None:
        last = self._turns[-1] if self._turns else None
        if not isinstance(last, AssistantTurn) or last.calls:
            self._turns.append(turn)
            return
        last.texts += turn.texts
        last.calls += turn.calls
        if turn.thinking or turn.signature:
            last.thinking, last.signature = turn.thinking, turn.signature

    def _open_calls(self, blocks: Sequence[ToolUseBlock]) -> list[Call]:
        groups: dict[str, list[Call]] = {}
        calls: list[Call] = []
        for block in blocks:
            call = Call(self._unique(block.id), block.name, block.input)
            groups.setdefault(block.id, []).append(call)
            calls.append(call)
        for identity, group in groups.items():
            self._waiting.setdefault(identity, []).append(group)
        return calls

    def _unique(self, identity: str) -> str:
        if _CALL_ID.fullmatch(identity) and identity not in self._used:
            self._used.add(identity)
            return identity
        stem = _FOREIGN.sub("_", identity)[: MAX_CALL_ID - 8] or "call"
        number = len(self._used)
        while (found := f"{stem}_{number}") in self._used or found in self._reserved:
            number += 1
        self._used.add(found)
        return found

    def _add_parts(self, blocks: Iterable[object]) -> None:
        parts: list[Part] = []
        for block in blocks:
            if isinstance(block, ToolResultBlock):
                parts += self._settle(block)
            elif isinstance(block, TextBlock | ImageBlock | BlobTextBlock):
                parts += _sendable((block,))
        if not parts:
            return
        last = self._turns[-1] if self._turns else None
        if isinstance(last, UserTurn):
            last.parts += parts
        else:
            self._turns.append(UserTurn(parts))

    def _settle(self, block: ToolResultBlock) -> list[Part]:
        """Give a result to its call; one without a call goes on as what the user says."""
        content = (TextBlock(text=block.content),) if isinstance(block.content, str) else block.content
        result = _sendable(content) or [TextBlock(text=NO_OUTPUT)]
        groups = self._waiting.get(block.tool_use_id)
        if not groups:
            return [TextBlock(text="Result of an earlier tool call:"), *result]
        call = groups[-1].pop(0)
        if not groups[-1]:
            groups.pop()
        call.result, call.is_error, call.answered = result, bool(block.is_error), True
        return []


def _sendable(parts: Iterable[TextBlock | ImageBlock | BlobTextBlock]) -> list[Part]:
    """The parts that a provider takes: no blank texts, and a sentence for an image of a kind that it would refuse."""
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, ImageBlock) and not _is_sendable(part):
            kept.append(TextBlock(text=f"[an image of type {part.source.media_type} that cannot be shown]"))
        elif isinstance(part, ImageBlock) or (isinstance(part, TextBlock) and part.text.strip()):
            kept.append(part)
    return kept


def _is_sendable(image: ImageBlock) -> bool:
    source = image.source
    return isinstance(source, Base64Source) and source.media_type in IMAGE_TYPES and source.problem is None
