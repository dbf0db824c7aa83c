"""Answers of the Anthropic messages wire, streamed or whole, as our messages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from actors.domain.calls import Emit
from actors.domain.messages import StopReason, TextBlock, TokenUsage, ToolUseBlock
from actors.llm.answer import (
    Answer,
    CallDraft,
    Fault,
    TextGatherer,
    as_arguments,
    count_of,
    error_text,
    finish_calls,
    items,
    load_object,
    make_message,
    obj,
    settle_stop,
    text_of,
)
from actors.llm.names import ToolNames
from actors.llm.sse import ServerSentEvent

SEALED_BLOCKS = "blocks:"
"""Begins a signature that is a JSON array of thinking blocks: an answer with more than one, or with a redacted one,
wants all of them back unchanged, and a message has room for one signature."""

_STOP = {
    "end_turn": StopReason.end_turn,
    "tool_use": StopReason.tool_use,
    "max_tokens": StopReason.max_tokens,
    "model_context_window_exceeded": StopReason.max_tokens,
    "stop_sequence": StopReason.stop_sequence,
    "refusal": StopReason.refusal,
}
"""Reasons of newer versions count as the end of the turn."""


@dataclass
class _Thought:
    """A thinking block, or a redacted one when ``data`` is there."""

    text: TextGatherer
    signature: str = ""
    data: str | None = None

    def block(self) -> dict[str, Any]:
        if self.data is not None:
            return {"type": "redacted_thinking", "data": self.data}
        return {"type": "thinking", "thinking": self.text.text, "signature": self.signature}


_Block = _Thought | TextGatherer | CallDraft


@dataclass
class _Counts:
    """Token counts by their names on the wire; later events replace earlier ones."""

    seen: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, usage: object) -> None:
        found = {key: count_of(value) for key, value in obj(usage).items()}
        self.seen |= {key: value for key, value in found.items() if value is not None}

    def usage(self) -> TokenUsage:
        read, written = self.seen.get("cache_read_input_tokens"), self.seen.get("cache_creation_input_tokens")
        # The wire counts cached tokens beside the input, we count them as parts of it.
        prompt = self.seen.get("input_tokens", 0) + (read or 0) + (written or 0)
        completion = self.seen.get("output_tokens", 0)
        return TokenUsage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            cache_read_tokens=read,
            cache_write_tokens=written,
        )


class AnthropicReader:
    """Reads one stream, or one whole answer.

    Args:
        names: The tools of the call.
        emit: Takes the pieces.
        fault: Makes the error for a broken answer.
    """

    def __init__(self, names: ToolNames, emit: Emit, fault: Fault) -> None:
        self._names = names
        self._emit = emit
        self._fault = fault
        self._input = TextGatherer(emit, "tool_input")
        self._blocks: dict[int, _Block] = {}
        self._counts = _Counts()
        self._stop: str | None = None
        self._done = False

    @property
    def done(self) -> bool:
        """Whether ``message_stop`` has come."""
        return self._done

    @property
    def usage(self) -> TokenUsage:
        """The tokens as far as the stream has told them: what was read comes first."""
        return self._counts.usage()

    def feed(self, event: ServerSentEvent) -> None:
        """Take the next event of a stream; pings and events of newer versions are passed over."""
        if self._done:
            return
        payload = load_object(event.data, self._fault)
        match payload.get("type") or event.event:
            case "message_start":
                self._counts.take(obj(payload.get("message")).get("usage"))
            case "content_block_start":
                self._begin(_index(payload), obj(payload.get("content_block")))
            case "content_block_delta":
                self._extend(_index(payload), obj(payload.get("delta")))
            case "message_delta":
                self._counts.take(payload.get("usage"))
                self._stop = text_of(obj(payload.get("delta")).get("stop_reason")) or self._stop
            case "message_stop":
                self._done = True
            case "error":
                raise self._error(payload)
            case _:
                pass

    def read(self, payload: dict[str, Any]) -> Answer:
        """The answer in a body that came whole."""
        if payload.get("type") == "error" or payload.get("error"):
            raise self._error(payload)
        for index, block in enumerate(items(payload.get("content"))):
            self._begin(index, obj(block))
        self._counts.take(payload.get("usage"))
        self._stop = text_of(payload.get("stop_reason")) or None
        self._done = True
        return self.finish()

    def finish(self) -> Answer:
        """The answer."""
        if not self._done:
            raise self._fault("it ended without message_stop")
        if self._stop is None:
            raise self._fault("it ended without a stop_reason")
        calls = finish_calls((block for block in self._ordered() if isinstance(block, CallDraft)), self._names)
        reason = settle_stop(_STOP.get(self._stop, StopReason.end_turn), bool(calls))
        return Answer(make_message(self._content(calls), *self._thinking()), reason, self._counts.usage())

    def _error(self, payload: dict[str, Any]) -> Exception:
        kind = text_of(obj(payload.get("error")).get("type")) or "error"
        return self._fault(f"{kind}: {error_text(payload.get('error')) or 'no explanation'}")

    def _begin(self, index: int, block: dict[str, Any]) -> None:
        match block.get("type"):
            case "text":
                gatherer = TextGatherer(self._emit, "text")
                self._blocks[index] = gatherer
                gatherer.add(text_of(block.get("text")))
            case "tool_use":
                draft = CallDraft(id=text_of(block.get("id")), name=text_of(block.get("name")))
                draft.ready = as_arguments(block["input"]) if block.get("input") is not None else None
                self._blocks[index] = draft
            case "thinking":
                thought = _Thought(TextGatherer(self._emit, "thinking"), text_of(block.get("signature")))
                self._blocks[index] = thought
                thought.text.add(text_of(block.get("thinking")))
            case "redacted_thinking":
                gatherer = TextGatherer(self._emit, "thinking")
                self._blocks[index] = _Thought(gatherer, data=text_of(block.get("data")))
            case _:
                pass

    def _extend(self, index: int, delta: dict[str, Any]) -> None:
        block = self._blocks.get(index)
        match delta.get("type"), block:
            case "text_delta", TextGatherer():
                block.add(text_of(delta.get("text")))
            case "input_json_delta", CallDraft():
                piece = text_of(delta.get("partial_json"))
                block.parts.append(piece)
                self._input.add(piece)
            case "thinking_delta", _Thought():
                block.text.add(text_of(delta.get("thinking")))
            case "signature_delta", _Thought():
                block.signature += text_of(delta.get("signature"))
            case _:
                pass

    def _ordered(self) -> list[_Block]:
        return [self._blocks[index] for index in sorted(self._blocks)]

    def _content(self, calls: list[ToolUseBlock]) -> list[TextBlock | ToolUseBlock]:
        following = iter(calls)
        content: list[TextBlock | ToolUseBlock] = []
        for block in self._ordered():
            if isinstance(block, TextGatherer):
                content.append(TextBlock(text=block.text))
            elif isinstance(block, CallDraft):
                content.append(next(following))
        return content

    def _thinking(self) -> tuple[str, str | None]:
        """The thinking as one text, and its seal."""
        thoughts = [block for block in self._ordered() if isinstance(block, _Thought)]
        text = "\n\n".join(thought.text.text for thought in thoughts if thought.text.text)
        if len(thoughts) == 1 and thoughts[0].data is None:
            return text, thoughts[0].signature or None
        if not thoughts:
            return "", None
        return text, SEALED_BLOCKS + json.dumps([thought.block() for thought in thoughts], ensure_ascii=False)


def _index(payload: dict[str, Any]) -> int:
    return count_of(payload.get("index")) or 0
