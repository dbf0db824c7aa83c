"""Requests of a server for a model's answer, between the SDK's forms and the project's; everything bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from actors.domain.asking import MAX_SAMPLING_BYTES, Answer, Question, QuestionMode, Sampling
from actors.domain.mcp import McpServerConfig
from actors.domain.messages import Message, Role, StopReason, TextBlock
from actors.mcp.problems import NoQuestion, hidden, shortened
from actors.mcp.shown import plain

if TYPE_CHECKING:
    from mcp_types import CreateMessageRequestParams, CreateMessageResult, ErrorData

MAX_MESSAGES: Final = 64
MAX_HINTS: Final = 8
MAX_HINT_CHARS: Final = 128

REFUSED: Final = -1
"""The code with which clients say that a person has refused."""

_STOPPED: Final = {StopReason.max_tokens: "maxTokens", StopReason.stop_sequence: "stopSequence"}


def sampling_of(
    key: str, params: CreateMessageRequestParams, config: McpServerConfig, secrets: Sequence[str]
) -> Question:
    """A question for a model.

    Raises:
        NoQuestion: it is not allowed, too large, or asks for more than texts.
    """
    if config.sampling == "deny":
        raise NoQuestion("answers of a model are not offered to it")
    if params.tools or params.tool_choice is not None or params.task is not None:
        raise NoQuestion("a model answers it by texts, and calls no tools for it")
    if not 1 <= len(params.messages) <= MAX_MESSAGES:
        raise NoQuestion(f"it sends {len(params.messages)} messages, and not 1 to {MAX_MESSAGES}")
    messages = tuple(_message(one, secrets) for one in params.messages)
    system = plain(params.system_prompt, secrets) if params.system_prompt else None
    if params.max_tokens <= 0:
        raise NoQuestion("it wants an answer without a length")
    temperature = params.temperature
    wanted = Sampling(
        messages=messages,
        system=system,
        max_tokens=min(params.max_tokens, config.sampling_max_tokens),
        temperature=temperature if temperature is not None and 0 <= temperature <= 2 else None,
        hints=_hints(params, secrets),
        ask=config.sampling == "ask",
        limit=config.sampling_limit,
    )
    if size_of(wanted) > MAX_SAMPLING_BYTES:
        raise NoQuestion(f"what it sends has more than {MAX_SAMPLING_BYTES} bytes")
    message = hidden(shortened(messages[-1].text), secrets)
    return Question(key=key, mode=QuestionMode.sampling, message=message, sampling=wanted)


def size_of(wanted: Sampling) -> int:
    """Bytes as JSON."""
    return len(wanted.model_dump_json().encode())


def _message(one: Any, secrets: Sequence[str]) -> Message:
    blocks = one.content_as_list
    if any(block.type != "text" for block in blocks):
        raise NoQuestion("a model is told texts only")
    texts = tuple(TextBlock(text=plain(block.text, secrets)) for block in blocks)
    if not any(text.text.strip() for text in texts):
        raise NoQuestion("one of its messages is empty")
    return Message(role=Role(one.role), content=texts)


def _hints(params: CreateMessageRequestParams, secrets: Sequence[str]) -> tuple[str, ...]:
    preferences = params.model_preferences
    names = [hint.name for hint in (preferences.hints or [])[:MAX_HINTS] if hint.name] if preferences else []
    return tuple(hidden(name, secrets)[:MAX_HINT_CHARS] for name in names)


def sampled(answer: Answer) -> CreateMessageResult | ErrorData:
    """An answer as the SDK takes it."""
    from mcp_types import CreateMessageResult, ErrorData, TextContent

    content = answer.content or {}
    if answer.action != "accept":
        why = str(content.get("reason") or "it was refused")
        return ErrorData(code=REFUSED, message=f"No model has answered: {why}.")
    return CreateMessageResult(
        role="assistant",
        content=TextContent(type="text", text=content["text"]),
        model=content["model"] or "unknown",
        stop_reason=_STOPPED.get(StopReason(content["stop_reason"]), "endTurn"),
    )
