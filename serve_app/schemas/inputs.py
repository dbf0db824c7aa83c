"""Inputs and messages, and the receipts for them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from actors.domain.actions import Action
from actors.domain.mcp_library import McpInput
from actors.domain.messages import Message
from actors.domain.policies import OnBusy
from serve_app.schemas.base import Answer, Body, PromptText


class _Input(Body):
    """What every input may say.

    Attributes:
        output_schema: JSON Schema that the answer has to fit; the result's ``output`` is its value then.
    """

    on_busy: OnBusy = OnBusy.enqueue
    output_schema: dict[str, Any] | None = None


class PromptInput(_Input):
    """An input of plain text."""

    prompt: PromptText


class MessageInput(_Input):
    """An input of any content blocks."""

    message: Message


class McpPromptInput(_Input):
    """An input that a prompt of an MCP server makes."""

    mcp_prompt: McpInput


_SHAPES = {MessageInput: "message", McpPromptInput: "mcp_prompt"}


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return next((name for name in _SHAPES.values() if name in value), "prompt")
    return _SHAPES.get(type(value), "prompt")


AnyInput = Annotated[
    Annotated[PromptInput, Tag("prompt")]
    | Annotated[MessageInput, Tag("message")]
    | Annotated[McpPromptInput, Tag("mcp_prompt")],
    Discriminator(_shape),
]
"""Any form; which one was meant is told by its members, so that an error is about that one."""


class Accepted(Answer):
    """A receipt: the input is durable.

    Attributes:
        seq: Place of the input in the journal; stream or page events after ``seq - 1`` to see it.
        why: ``accepted`` when nobody asked to wait; ``timeout`` when the turn goes on, ``requires_action`` when it
            waits for a person.
        actions: What the session and those below it wait for, when it was waited for the turn.
    """

    session_id: str
    journal_id: str
    input_id: str
    seq: int
    why: str = "accepted"
    actions: tuple[Action, ...] = ()


class AddedMessage(Answer):
    """Place of the message in the journal."""

    seq: int
