"""What both wires read answers with: between a provider's loose JSON and our messages.

Providers and their imitators differ in what they leave out, so reading is tolerant: a missing or oddly typed value
counts as absent. Whether an answer is whole is for the wire to decide.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, cast

from actors.domain.base import is_deep
from actors.domain.calls import Emit
from actors.domain.messages import PARSE_ERROR, Message, Role, StopReason, TextBlock, TokenUsage, ToolUseBlock
from actors.errors import ModelError
from actors.llm.names import ToolNames

MAX_RAW = 2000
"""Characters of unreadable arguments that are kept: enough for the model to see what it wrote, small in a record."""

Fault = Callable[[str], ModelError]
"""Makes the error for a broken answer from what is wrong with it; removes secrets from it."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    message: Message
    stop_reason: StopReason
    usage: TokenUsage


@dataclass
class CallDraft:
    """A tool call while it is written: ``parts`` are pieces of JSON, ``ready`` the arguments that came whole."""

    id: str = ""
    name: str = ""
    parts: list[str] = field(default_factory=list[str])
    ready: dict[str, Any] | None = None

    def arguments(self) -> dict[str, Any]:
        """The arguments, or what is wrong with them."""
        written = "".join(self.parts)
        if self.ready is not None and not written.strip():
            return self.ready
        return parse_arguments(written)


class TextGatherer:
    """Collects the pieces of a text and passes them on, never half a character.

    Some servers cut their text between the two halves of a UTF-16 pair; a half waits here for the other one.

    Args:
        emit: Where the pieces go.
        channel: Under which name.
    """

    def __init__(self, emit: Emit, channel: Literal["text", "thinking", "tool_input"]) -> None:
        self._emit = emit
        self._channel: Literal["text", "thinking", "tool_input"] = channel
        self._parts: list[str] = []
        self._half = ""

    def add(self, piece: str) -> None:
        """Take the next piece."""
        piece = self._half + piece
        self._half = ""
        if piece and "\ud800" <= piece[-1] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        if piece:
            whole = sound(piece)
            self._parts.append(whole)
            self._emit(self._channel, whole)

    @property
    def text(self) -> str:
        """Everything so far; half a character at the end is left out."""
        return "".join(self._parts)


def sound(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def parse_arguments(text: str) -> dict[str, Any]:
    """A tool call's arguments from their JSON; nothing counts as no arguments.

    Returns:
        The object, or ``{"__parse_error": reason, "raw": text}`` when the text is no JSON object.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        return _unreadable("the JSON is nested too deeply", text)
    except ValueError as error:
        return _unreadable(str(error), text)
    return as_arguments(value, text)


def as_arguments(value: object, text: str | None = None) -> dict[str, Any]:
    """Arguments that arrived as a value: an object as it is, anything else as a parse error."""
    if is_deep(value):
        return _unreadable("the JSON is nested too deeply", text or "")
    shown = text if text is not None else repr(value)
    if not isinstance(value, dict):
        return _unreadable(f"expected a JSON object, got {_kind(value)}", shown)
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        return as_arguments(json.loads(sound(json.dumps(value, ensure_ascii=False))), shown)
    except (ValueError, RecursionError):
        return _unreadable("the arguments hold values that JSON does not know", shown)
    return cast("dict[str, Any]", value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _kind(value: object) -> str:
    names: dict[type[object], str] = {
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


def _unreadable(reason: str, text: str) -> dict[str, Any]:
    return {PARSE_ERROR: reason, "raw": sound(text[:MAX_RAW])}


def finish_calls(drafts: Iterable[CallDraft], names: ToolNames) -> list[ToolUseBlock]:
    """The finished calls, under the tools' own names; missing and repeated ids are replaced by ``call_N``."""
    finished: list[ToolUseBlock] = []
    drafts = list(drafts)
    taken = {draft.id for draft in drafts}
    seen: set[str] = set()
    for number, draft in enumerate(drafts):
        identity = draft.id
        if not identity or identity in seen:
            identity = _free_id(number, taken)
        seen.add(identity)
        taken.add(identity)
        finished.append(ToolUseBlock(id=sound(identity), name=names.real(sound(draft.name)), input=draft.arguments()))
    return finished


def _free_id(number: int, taken: set[str]) -> str:
    identity = f"call_{number}"
    while identity in taken:
        identity += "_"
    return identity


def make_message(
    blocks: Iterable[TextBlock | ToolUseBlock], thinking: str = "", signature: str | None = None
) -> Message:
    """The assistant's message, without empty texts."""
    kept = tuple(block for block in blocks if not isinstance(block, TextBlock) or block.text)
    return Message(
        role=Role.assistant, content=kept, reasoning_content=thinking or None, reasoning_signature=signature or None
    )


def settle_stop(reason: StopReason, calls: bool) -> StopReason:
    """The stop reason that agrees with the answer: some servers say "stop" after a tool call, or the reverse."""
    if calls and reason is StopReason.end_turn:
        return StopReason.tool_use
    if not calls and reason is StopReason.tool_use:
        return StopReason.end_turn
    return reason


def load_object(data: str | bytes, fault: Fault) -> dict[str, Any]:
    """A JSON object, or the error that ``fault`` makes."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise fault("what it sent is not JSON") from None
    if not isinstance(value, dict):
        raise fault("what it sent is not a JSON object")
    return cast("dict[str, Any]", value)


def error_text(payload: object) -> str:
    """The sentence in a provider's error object, in any of the usual shapes; empty when there is none."""
    for _ in range(4):
        if isinstance(payload, str):
            return payload
        members = obj(payload)
        payload = next((members[key] for key in ("error", "message", "detail", "msg") if members.get(key)), None)
    return payload if isinstance(payload, str) else ""


def obj(value: object) -> dict[str, Any]:
    """The value when it is an object, else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """The value when it is an array, else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def text_of(value: object) -> str:
    """The value when it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def count_of(value: object) -> int | None:
    """The value when it is a whole number from 0 on, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
