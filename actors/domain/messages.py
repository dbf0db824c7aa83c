"""Messages as every part of the service sees them; provider wires translate from and to these.

Tool results travel in messages of role ``user``. Content over the blob limit is replaced by a reference
(``actors.domain.blobs``), so a message is always small enough to be journaled and passed around.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from actors.domain.base import Frozen

_IMAGE_TYPE = re.compile(r"image/[a-z0-9.+-]{1,64}")

PARSE_ERROR = "__parse_error"
"""Key under which tool arguments that are not a JSON object arrive: ``{"__parse_error": reason, "raw": text}``."""

WITHHELD = "__withheld"
"""Key under which it is said why arguments, which stand beside it without what is withheld, are never used."""


class Role(StrEnum):
    """Who speaks. System text is not a message."""

    user = "user"
    assistant = "assistant"


class Base64Source(Frozen):
    """Bytes in base64. ``media_type`` is image/jpeg, image/png, image/gif or image/webp."""

    type: Literal["base64"] = "base64"
    media_type: str
    data: str

    @property
    def problem(self) -> str | None:
        """Why this is no image, as half a sentence; None when it is one. Journals may hold some that are none."""
        if not _IMAGE_TYPE.fullmatch(self.media_type):
            return "media_type is none of an image: use image/jpeg, image/png, image/gif or image/webp"
        try:
            return None if base64.b64decode(self.data, validate=True) else "data is empty"
        except ValueError:
            return "data is not valid base64"


class BlobSource(Frozen):
    """Bytes kept in the store under their digest (hex SHA-256); ``size`` in bytes."""

    type: Literal["blob"] = "blob"
    media_type: str
    digest: str
    size: int


class TextBlock(Frozen):
    """Plain text."""

    type: Literal["text"] = "text"
    text: str


class BlobTextBlock(Frozen):
    """Text that is kept in the store: ``digest`` is the hex SHA-256 of its UTF-8 form, ``size`` in bytes."""

    type: Literal["text_blob"] = "text_blob"
    digest: str
    size: int


class ImageBlock(Frozen):
    """An image."""

    type: Literal["image"] = "image"
    source: Annotated[Base64Source | BlobSource, Field(discriminator="type")]


class ToolUseBlock(Frozen):
    """The model asks for a tool. ``id`` is the model's own and unique only within one answer."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, Any]

    @property
    def parse_error(self) -> str | None:
        """Why the arguments could not be read, or None."""
        reason = self.input.get(PARSE_ERROR)
        return str(reason) if reason is not None else None


TextPart = Annotated[TextBlock | BlobTextBlock, Field(discriminator="type")]
ResultPart = Annotated[TextBlock | ImageBlock | BlobTextBlock, Field(discriminator="type")]


class ToolResultBlock(Frozen):
    """What a tool call gave, for the model. ``tool_use_id`` names the call."""

    type: Literal["tool_result"] = "tool_result"
    tool_use_id: str
    content: str | tuple[ResultPart, ...]
    is_error: bool | None = None


ContentBlock = Annotated[
    TextBlock | ImageBlock | ToolUseBlock | ToolResultBlock | BlobTextBlock, Field(discriminator="type")
]


class Message(Frozen):
    """One message: a role and its content blocks.

    Attributes:
        reasoning_content: The model's thinking, when the provider shows it.
        reasoning_signature: The provider's opaque seal on the thinking, which some want back unchanged.
    """

    role: Role
    content: tuple[ContentBlock, ...]
    reasoning_content: str | None = Field(default=None, exclude_if=lambda value: value is None)
    reasoning_signature: str | None = Field(default=None, exclude_if=lambda value: value is None)

    @classmethod
    def user(cls, text: str) -> Message:
        """A user message of one text block."""
        return cls(role=Role.user, content=(TextBlock(text=text),))

    @classmethod
    def assistant(cls, text: str, *calls: ToolUseBlock) -> Message:
        """An assistant message: text, when there is any, then tool calls."""
        head: tuple[TextBlock, ...] = (TextBlock(text=text),) if text else ()
        return cls(role=Role.assistant, content=(*head, *calls))

    @classmethod
    def tool_result(
        cls,
        tool_use_id: str,
        content: str | Sequence[TextBlock | ImageBlock | BlobTextBlock],
        *,
        is_error: bool = False,
    ) -> Message:
        """A user message that carries one tool result."""
        body = content if isinstance(content, str) else tuple(content)
        block = ToolResultBlock(tool_use_id=tool_use_id, content=body, is_error=is_error)
        return cls(role=Role.user, content=(block,))

    @property
    def text(self) -> str:
        """The text blocks, joined by nothing."""
        return "".join(block.text for block in self.content if isinstance(block, TextBlock))

    @property
    def tool_calls(self) -> tuple[ToolUseBlock, ...]:
        """The tool_use blocks, in order."""
        return tuple(block for block in self.content if isinstance(block, ToolUseBlock))

    def encode(self) -> bytes:
        """The message as compact JSON."""
        return self.model_dump_json().encode()


_MESSAGES: TypeAdapter[tuple[Message, ...]] = TypeAdapter(tuple[Message, ...])


def decode_messages(encoded: Sequence[bytes]) -> tuple[Message, ...]:
    """Messages from their JSON forms, in one pass."""
    return _MESSAGES.validate_json(b"[" + b",".join(encoded) + b"]")


MAX_COUNT = 2**53
"""Highest count of tokens: every JSON reader and every database has it exact. A provider may claim more."""


def _counted(count: int) -> int:
    return min(count, MAX_COUNT)


Count = Annotated[int, AfterValidator(_counted)]


class TokenUsage(Frozen):
    """Tokens of one model call, or a sum of calls. Cache counts are parts of ``prompt_tokens``.

    Counting ends at ``MAX_COUNT``.
    """

    prompt_tokens: Count = Field(default=0, ge=0)
    completion_tokens: Count = Field(default=0, ge=0)
    total_tokens: Count = Field(default=0, ge=0)
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cache_read_tokens=_plus(self.cache_read_tokens, other.cache_read_tokens),
            cache_write_tokens=_plus(self.cache_write_tokens, other.cache_write_tokens),
        )

    def __sub__(self, part: TokenUsage) -> TokenUsage:
        """What a sum is without a part of it."""
        return TokenUsage(
            prompt_tokens=self.prompt_tokens - part.prompt_tokens,
            completion_tokens=self.completion_tokens - part.completion_tokens,
            total_tokens=self.total_tokens - part.total_tokens,
            cache_read_tokens=_minus(self.cache_read_tokens, part.cache_read_tokens),
            cache_write_tokens=_minus(self.cache_write_tokens, part.cache_write_tokens),
        )


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def _minus(whole: int | None, part: int | None) -> int | None:
    return None if whole is None else whole - (part or 0)


class StopReason(StrEnum):
    """Why a model stopped, in one vocabulary for all providers. A missing reason is an error, never a value."""

    end_turn = "end_turn"
    tool_use = "tool_use"
    max_tokens = "max_tokens"
    stop_sequence = "stop_sequence"
    refusal = "refusal"
