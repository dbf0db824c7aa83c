"""Answers of the chat-completions wire, streamed or whole, as our messages."""

from __future__ import annotations

from typing import Any

from actors.domain.calls import Emit
from actors.domain.messages import StopReason, TextBlock, TokenUsage
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

_STOP = {
    "stop": StopReason.end_turn,
    "length": StopReason.max_tokens,
    "tool_calls": StopReason.tool_use,
    "function_call": StopReason.tool_use,
    "content_filter": StopReason.refusal,
}
"""Reasons that other servers invented count as the end of the turn."""


class OpenAiReader:
    """Reads one stream, or one whole answer.

    Args:
        names: The tools of the call.
        emit: Takes the pieces.
        fault: Makes the error for a broken answer.
    """

    def __init__(self, names: ToolNames, emit: Emit, fault: Fault) -> None:
        self._names = names
        self._fault = fault
        self._text = TextGatherer(emit, "text")
        self._thinking = TextGatherer(emit, "thinking")
        self._input = TextGatherer(emit, "tool_input")
        self._calls: list[CallDraft] = []
        self._at_index: dict[int, CallDraft] = {}
        self._finish: str | None = None
        self._refused = False
        self._usage = TokenUsage()
        self._done = False

    @property
    def done(self) -> bool:
        """Whether ``[DONE]`` has come."""
        return self._done

    @property
    def usage(self) -> TokenUsage:
        """The tokens as far as the stream has told them, mostly at its end."""
        return self._usage

    def feed(self, event: ServerSentEvent) -> None:
        """Take the next event of a stream."""
        if self._done:
            return
        if event.data.strip() == "[DONE]":
            self._done = True
            return
        payload = load_object(event.data, self._fault)
        self._refuse_error(payload, event.event)
        self._take(payload, "delta")

    def read(self, payload: dict[str, Any]) -> Answer:
        """The answer in a body that came whole."""
        self._refuse_error(payload, "")
        self._take(payload, "message")
        return self.finish()

    def finish(self) -> Answer:
        """The answer."""
        if self._finish is None:
            raise self._fault("it ended without a finish_reason")
        if self._finish == "error":
            raise self._fault("the server gave up in the middle of the answer")
        calls = finish_calls(self._calls, self._names)
        reason = StopReason.refusal if self._refused else _STOP.get(self._finish, StopReason.end_turn)
        message = make_message([TextBlock(text=self._text.text), *calls], self._thinking.text)
        return Answer(message, settle_stop(reason, bool(calls)), self._usage)

    def _refuse_error(self, payload: dict[str, Any], event: str) -> None:
        if payload.get("error") or event == "error":
            raise self._fault(error_text(payload) or "the server reported an error without a text")

    def _take(self, payload: dict[str, Any], key: str) -> None:
        if isinstance(payload.get("usage"), dict):
            self._usage = _usage(obj(payload["usage"]))
        for one in items(payload.get("choices")):
            choice = obj(one)
            if choice.get("index") in {0, None}:
                self._take_message(obj(choice.get(key)))
                self._finish = text_of(choice.get("finish_reason")) or self._finish

    def _take_message(self, message: dict[str, Any]) -> None:
        self._thinking.add(text_of(message.get("reasoning_content")) or text_of(message.get("reasoning")))
        self._text.add(_content(message.get("content")))
        if refusal := text_of(message.get("refusal")):
            self._refused = True
            self._text.add(refusal)
        for one in items(message.get("tool_calls")):
            self._take_call(obj(one))

    def _take_call(self, piece: dict[str, Any]) -> None:
        draft = self._draft(count_of(piece.get("index")), text_of(piece.get("id")))
        function = obj(piece.get("function"))
        draft.name = draft.name or text_of(function.get("name"))
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            draft.parts.append(arguments)
            self._input.add(arguments)
        elif arguments is not None:
            draft.ready = as_arguments(arguments)

    def _draft(self, index: int | None, identity: str) -> CallDraft:
        """The call that a piece belongs to: by index, by id, or the last one.

        Some servers leave the index out or give every call the same; a new id then begins a new call.
        """
        known = self._at_index.get(index) if index is not None else None
        if known is None and index is None and self._calls and not identity:
            known = self._calls[-1]
        if known is None and index is None and identity:
            known = next((draft for draft in self._calls if draft.id == identity), None)
        if known is None or (identity and known.id and known.id != identity):
            known = CallDraft(id=identity)
            self._calls.append(known)
            if index is not None:
                self._at_index[index] = known
        known.id = known.id or identity
        return known


def _content(value: object) -> str:
    """A message's text, which some servers send as parts."""
    return "".join(text_of(obj(part).get("text")) for part in items(value)) or text_of(value)


def _usage(usage: dict[str, Any]) -> TokenUsage:
    prompt = count_of(usage.get("prompt_tokens")) or 0
    completion = count_of(usage.get("completion_tokens")) or 0
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=count_of(usage.get("total_tokens")) or prompt + completion,
        cache_read_tokens=count_of(obj(usage.get("prompt_tokens_details")).get("cached_tokens")),
    )
