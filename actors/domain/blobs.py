"""Large content leaves messages for content-addressed blobs, and comes back for whoever needs it whole.

Between messages of any size and records that stay small.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping

from actors.domain.messages import (
    Base64Source,
    BlobSource,
    BlobTextBlock,
    ImageBlock,
    Message,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)

BLOB_LIMIT = 32 * 1024
"""Content above this many bytes becomes a blob: records, snapshots and calls then carry 64 characters instead."""

Block = TextBlock | ImageBlock | ToolUseBlock | ToolResultBlock | BlobTextBlock
Part = TextBlock | ImageBlock | BlobTextBlock


def digest_of(content: bytes) -> str:
    """The name of a blob: hex SHA-256 of its bytes."""
    return hashlib.sha256(content).hexdigest()


def externalise(message: Message, limit: int = BLOB_LIMIT) -> tuple[Message, dict[str, bytes]]:
    """Replace content above ``limit`` bytes by references.

    Returns:
        The message (the same object when nothing was large) and the blobs by digest. A large image whose base64 is
        none becomes a text that says so.
    """
    blobs: dict[str, bytes] = {}
    content = tuple(_shrink(block, limit, blobs) for block in message.content)
    return (message.model_copy(update={"content": content}), blobs) if content != message.content else (message, blobs)


def _shrink(block: Block, limit: int, blobs: dict[str, bytes]) -> Block:
    if isinstance(block, ToolResultBlock):
        return _shrink_result(block, limit, blobs)
    if isinstance(block, TextBlock | ImageBlock):
        return _shrink_part(block, limit, blobs)
    return block


def _shrink_result(block: ToolResultBlock, limit: int, blobs: dict[str, bytes]) -> ToolResultBlock:
    parts: tuple[Part, ...] = (TextBlock(text=block.content),) if isinstance(block.content, str) else block.content
    shrunk = tuple(_shrink_part(part, limit, blobs) for part in parts)
    return block if shrunk == parts else block.model_copy(update={"content": shrunk})


def _shrink_part(part: Part, limit: int, blobs: dict[str, bytes]) -> Part:
    if isinstance(part, TextBlock) and len(part.text) > limit // 4:
        raw = part.text.encode()
        if len(raw) > limit:
            blobs[digest_of(raw)] = raw
            return BlobTextBlock(digest=digest_of(raw), size=len(raw))
    elif isinstance(part, ImageBlock) and isinstance(part.source, Base64Source) and len(part.source.data) > limit:
        try:
            raw = base64.b64decode(part.source.data)
        except ValueError:
            return TextBlock(text="[an image that is not valid base64]")
        blobs[digest_of(raw)] = raw
        return ImageBlock(source=BlobSource(media_type=part.source.media_type, digest=digest_of(raw), size=len(raw)))
    return part


_REFERENCES = (b'"type":"text_blob"', b'"type":"blob"')


def refers(encoded: bytes) -> bool:
    """Whether an encoded message may refer to content that is kept apart; True for every one that does."""
    return _REFERENCES[0] in encoded or _REFERENCES[1] in encoded


def blobs_in(messages: Iterable[Message]) -> frozenset[str]:
    """The digests that the messages refer to."""
    found: set[str] = set()
    for message in messages:
        for block in message.content:
            parts: Iterable[Block] = (block,)
            if isinstance(block, ToolResultBlock):
                parts = () if isinstance(block.content, str) else block.content
            for part in parts:
                if isinstance(part, BlobTextBlock):
                    found.add(part.digest)
                elif isinstance(part, ImageBlock) and isinstance(part.source, BlobSource):
                    found.add(part.source.digest)
    return frozenset(found)


def inflate(message: Message, blobs: Mapping[str, bytes]) -> Message:
    """Put referenced content back; a blob that is not given leaves a text that says so."""
    content = tuple(_grow(block, blobs) for block in message.content)
    return message if content == message.content else message.model_copy(update={"content": content})


def _grow(block: Block, blobs: Mapping[str, bytes]) -> Block:
    if isinstance(block, ToolResultBlock) and not isinstance(block.content, str):
        parts = tuple(_grow_part(part, blobs) for part in block.content)
        if len(parts) == 1 and isinstance(parts[0], TextBlock):
            return block.model_copy(update={"content": parts[0].text})
        return block.model_copy(update={"content": parts})
    if isinstance(block, BlobTextBlock | ImageBlock):
        return _grow_part(block, blobs)
    return block


def _grow_part(part: Part, blobs: Mapping[str, bytes]) -> Part:
    if isinstance(part, BlobTextBlock):
        raw = blobs.get(part.digest)
        return TextBlock(text=raw.decode() if raw is not None else f"[content {part.digest} is not available]")
    if isinstance(part, ImageBlock) and isinstance(part.source, BlobSource):
        raw = blobs.get(part.source.digest)
        if raw is None:
            return TextBlock(text=f"[image {part.source.digest} is not available]")
        data = base64.b64encode(raw).decode()
        return ImageBlock(source=Base64Source(media_type=part.source.media_type, data=data))
    return part
