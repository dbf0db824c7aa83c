"""Turns as those outside see them: the receipt of an input, how its turn ended, the answer."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from pydantic import PrivateAttr

from actors.domain.base import Frozen
from actors.domain.messages import Message, TextPart, TokenUsage, decode_messages


class TurnStatus(StrEnum):
    """How a turn stands."""

    running = "running"
    requires_action = "requires_action"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


class Receipt(Frozen):
    """Proof that an input is durable: ``seq`` is its record's place in the journal."""

    session_id: str
    journal_id: str
    input_id: str
    seq: int


class AgentResult(Frozen):
    """The answer of a turn.

    Attributes:
        usage: Tokens of all model calls of the turn.
        tool_calls_count: Tool calls the model asked for in the turn, denied and malformed ones included.
        output: The value of an answer that was asked for in a form (``output_type``); None of a text.
        cost_usd: Price of the turn in US dollars as a decimal string; None when a model has no known price.
    """

    text: str
    usage: TokenUsage = TokenUsage()
    tool_calls_count: int = 0
    turn_id: str = ""
    cost_usd: str | None = None
    output: Any = None
    _context: tuple[bytes, ...] = PrivateAttr(default=())

    def with_context(self, encoded: tuple[bytes, ...]) -> Self:
        """A copy that knows the messages, still encoded; they are decoded when somebody asks."""
        copy = self.model_copy()
        copy._context = encoded
        return copy

    def with_output(self, value: Any) -> Self:
        """A copy with the value of its text."""
        copy = self.model_copy(update={"output": value})
        copy._context = self._context
        return copy

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation as the model sees it, this turn included."""
        return decode_messages(self._context)


class TurnEnd(Frozen):
    """How a turn ended, as its last record says.

    Attributes:
        code: On failure the kind of it, an error class of ours where there is one; ``error_args`` are its arguments.
        message: On failure or cancel, why.
        parts: The whole text, where some of it is kept in the store; empty when ``text`` is all of it.
    """

    turn_id: str
    status: TurnStatus
    seq: int
    text: str = ""
    parts: tuple[TextPart, ...] = ()
    usage: TokenUsage = TokenUsage()
    tool_calls_count: int = 0
    cost_usd: str | None = None
    code: str = ""
    message: str = ""
    error_args: tuple[Any, ...] = ()
