"""What a tool of a server gave, as an outcome for the model: text first, images beside it, everything bounded."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from actors.domain.artifacts import MAX_ARTIFACT_BYTES
from actors.domain.calls import Outcome, ToolOutcome
from actors.domain.messages import Base64Source, ImageBlock
from actors.tools.base import MAX_BESIDE_IMAGES, capped

if TYPE_CHECKING:
    from mcp_types import CallToolResult

MAX_IMAGES: Final = 8
MAX_IMAGE_CHARS: Final = 4 * 1024 * 1024 * 4 // 3
"""Images of one result, and the base64 characters of one: what a tool of the service may give."""

MAX_STRUCTURED_CHARS: Final = 32 * 1024
"""Structured content that is kept beside the text; what is larger is in the text only."""

TAKEN_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def outcome_of(result: CallToolResult) -> ToolOutcome:
    """The outcome of a call that the server has answered.

    Text blocks are joined by line ends. An image that models take is handed on; another one, and sound, is named. A
    resource gives its text, or its address. Structured content stands for text where there is none.
    """
    texts: list[str] = []
    images: list[ImageBlock] = []
    for block in result.content:
        image = _image(block)
        if image is not None and len(images) < MAX_IMAGES:
            images.append(image)
        text = _text(block)
        if text is not None:
            texts.append(text)
    structured = _structured(result.structured_content)
    if not result.content and structured is not None:
        texts.append(structured)
    kept = structured is not None and len(structured) <= MAX_STRUCTURED_CHARS
    return ToolOutcome(
        outcome=Outcome.error if result.is_error else Outcome.ok,
        content=capped(
            "\n".join(texts).replace("\0", "\N{REPLACEMENT CHARACTER}"),
            MAX_BESIDE_IMAGES if images else MAX_ARTIFACT_BYTES,
        ),
        images=tuple(images),
        exit_code=1 if result.is_error else 0,
        metadata={"structured_content": result.structured_content} if kept else {},
    )


def _structured(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


def _image(block: Any) -> ImageBlock | None:
    if block.type != "image" or block.mime_type not in TAKEN_IMAGES or len(block.data) > MAX_IMAGE_CHARS:
        return None
    try:
        base64.b64decode(block.data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return ImageBlock(source=Base64Source(media_type=block.mime_type, data=block.data))


def _text(block: Any) -> str | None:
    match block.type:
        case "text":
            return block.text
        case "image":
            return f"[Image: {block.mime_type[:80]}]"
        case "audio":
            return f"[Audio: {block.mime_type[:80]}]"
        case "resource_link":
            return f"[Resource: {block.uri}]"
        case "resource":
            inner = block.resource
            return inner.text if hasattr(inner, "text") else f"[Resource: {inner.uri}]"
        case _:
            return None
