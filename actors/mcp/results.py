"""What a server gave, as an outcome: text, images for the model beside it, other bytes for people; all bounded."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from actors.domain.artifacts import MAX_ARTIFACT_BYTES, MAX_FILE_NAME, MAX_FILES, GivenFile
from actors.domain.base import is_deep
from actors.domain.calls import Outcome, ToolOutcome
from actors.domain.messages import Base64Source, ImageBlock
from actors.tools.base import MAX_BESIDE_IMAGES, capped
from actors.tools.bounding import MAX_IMAGE_CHARS, MAX_IMAGES
from actors.tools.files import image_type

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ReadResourceResult

MAX_STRUCTURED_CHARS: Final = 32 * 1024
"""Structured content that is kept beside the text; what is larger, or deeper than JSON may be here, is in the text."""

TAKEN_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

_HEAD_CHARS: Final = 16
"""Base64 characters by which an image is known."""

_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,128}( *; *[ -~]{0,128})?")
_TEXTUAL: Final = re.compile(
    r"text/.*|application/(?:.*\+)?(?:json|xml|yaml|toml|javascript|sql)(?: *;.*)?", re.IGNORECASE
)
_UNKNOWN_TYPE: Final = "application/octet-stream"


def media_type(given: str | None) -> str | None:
    """A media type, when it is one."""
    return given if given is not None and _MEDIA_TYPE.fullmatch(given) else None


def image(kind: str | None, data: str) -> ImageBlock | None:
    """An image that models take, as what it is; None of another, and of bytes that are none.

    Providers refuse a request for one image that is none, and with it each further one of a session.
    """
    if kind not in TAKEN_IMAGES or len(data) > MAX_IMAGE_CHARS or not _is_base64(data):
        return None
    found = image_type(base64.b64decode(data[:_HEAD_CHARS]))
    return ImageBlock(source=Base64Source(media_type=found, data=data)) if found is not None else None


@dataclass(slots=True)
class _Found:
    """What was found so far."""

    texts: list[str] = field(default_factory=list[str])
    images: list[ImageBlock] = field(default_factory=list[ImageBlock])
    files: list[GivenFile] = field(default_factory=list[GivenFile])

    def take(self, block: Any) -> None:
        """Add a content block of a tool's result."""
        match block.type:
            case "text":
                self.texts.append(block.text)
            case "image":
                self.texts.append(f"[Image: {block.mime_type[:80]}]")
                self._bytes("image", block.mime_type, block.data)
            case "audio":
                self.texts.append(f"[Audio: {block.mime_type[:80]}]")
                self._bytes("audio", block.mime_type, block.data)
            case "resource_link":
                self.texts.append(f"[Resource: {block.uri}]")
            case "resource":
                self.take_resource(block.resource)
            case _:
                pass

    def take_resource(self, content: Any) -> None:
        """Add a content of a resource: a text, an image, or bytes."""
        if hasattr(content, "text"):
            self.texts.append(content.text)
            return
        text = _text_of(content.mime_type, content.blob)
        if text is not None:
            self.texts.append(text)
            return
        self.texts.append(f"[Resource: {content.uri}]")
        self._bytes(content.uri, content.mime_type, content.blob)

    def _bytes(self, name: str, kind: str | None, data: str) -> None:
        if not _is_base64(data):
            return
        shown_to_models = image(kind, data)
        if shown_to_models is not None and len(self.images) < MAX_IMAGES:
            self.images.append(shown_to_models)
        elif len(self.files) < MAX_FILES:
            shown = "".join(one if one.isprintable() else " " for one in name[:MAX_FILE_NAME])
            self.files.append(GivenFile(name=shown, media_type=media_type(kind) or _UNKNOWN_TYPE, data=data))

    def outcome(self, outcome: Outcome = Outcome.ok, **more: Any) -> ToolOutcome:
        """All of it. Images and bytes leave less room for text: they travel in one frame."""
        beside = self.images or self.files
        return ToolOutcome(
            outcome=outcome,
            content=capped(
                "\n".join(self.texts).replace("\0", "\N{REPLACEMENT CHARACTER}"),
                MAX_BESIDE_IMAGES if beside else MAX_ARTIFACT_BYTES,
            ),
            images=tuple(self.images),
            files=tuple(self.files),
            **more,
        )


def outcome_of(result: CallToolResult) -> ToolOutcome:
    """The outcome of a call that the server has answered.

    Text blocks are joined by line ends. An image that models take is handed on; other images, sound and bytes are
    named, and kept for people. A resource gives its text. Structured content stands for text where there is none.
    """
    found = _Found()
    for block in result.content:
        found.take(block)
    structured = _structured(result.structured_content)
    if not result.content and structured is not None:
        found.texts.append(structured)
    small = structured is not None and len(structured) <= MAX_STRUCTURED_CHARS
    kept = small and not is_deep(result.structured_content)
    return found.outcome(
        Outcome.error if result.is_error else Outcome.ok,
        exit_code=1 if result.is_error else 0,
        metadata={"structured_content": result.structured_content} if kept else {},
    )


def outcome_of_reading(result: ReadResourceResult) -> ToolOutcome:
    """What a resource holds, as the outcome of the call that read it."""
    found = _Found()
    for content in result.contents:
        found.take_resource(content)
    if not result.contents:
        found.texts.append("[The resource is empty.]")
    return found.outcome()


def _structured(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None


def _text_of(kind: str | None, blob: str) -> str | None:
    """The text that bytes are, when their type says that they are one."""
    if kind is None or not _TEXTUAL.fullmatch(kind):
        return None
    try:
        return base64.b64decode(blob, validate=True).decode()
    except ValueError:
        return None


def _is_base64(data: str) -> bool:
    try:
        return bool(base64.b64decode(data, validate=True))
    except (binascii.Error, ValueError):
        return False
