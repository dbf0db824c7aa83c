"""Results that are too large for a model: kept whole beside the journal, and shown by their beginning and end.

An artifact is named by its content, so the same result is kept once however often it comes. Between tools, whose
results have any size, and records and contexts that stay small. Pure.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, Field, field_validator

from actors.domain.base import Frozen, one_line
from actors.domain.blobs import digest_of

MAX_SHOWN_BYTES: Final = 100 * 1024
"""Text of one result that a model gets whole: about 25,000 tokens, more than it reads with profit."""

MAX_ARTIFACT_BYTES: Final = 4 * 1024 * 1024
"""Text of one result that is kept. It travels in one frame, and at its worst JSON makes six bytes of one."""

MAX_ARTIFACTS: Final = 512
"""Of one session: its state names all of them."""

MAX_SESSION_BYTES: Final = 256 * 1024 * 1024
"""Of one session together. Later large results are shown by their ends only, and the rest of them is not kept."""

PIECE_BYTES: Final = 512 * 1024
"""An artifact is kept in pieces of this size, so that who reads a part of it need not fetch the whole."""

MAX_FILE_NAME: Final = 512

MAX_FILES: Final = 8
"""Of one result; with its text and images they travel in one frame."""

MAX_FILES_CHARS: Final = 8 * 1024 * 1024
"""Base64 of all files of one result."""

READ_ARTIFACT: Final = "read_artifact"
"""The tool that reads on in one."""

_HEAD_BYTES: Final = 16 * 1024
_TAIL_BYTES: Final = 12 * 1024
"""Of a preview, which with its notice stays within the 32 KiB that a record carries itself."""

_ID_CHARS: Final = 24
"""Of the digest: 96 bits, and one session has a few hundred."""


class Artifact(Frozen):
    """A result that is kept whole.

    Attributes:
        artifact_id: ``art_`` and the beginning of its digest.
        digest: Hex SHA-256 of the text in UTF-8.
        size: Bytes of the text in UTF-8.
        lines: Lines of the text.
        tool: The tool that gave it first, and ``call_id`` the call.
        media_type: Of bytes that are no text; None of a text in UTF-8.
        name: What the tool called them.
        pieces: Digests of the blobs that make it up, each of 512 KiB but the last.
    """

    artifact_id: str
    digest: str
    size: int
    lines: int
    tool: str
    call_id: str
    pieces: tuple[str, ...]
    media_type: str | None = Field(default=None, exclude_if=lambda value: value is None)
    name: str | None = Field(default=None, exclude_if=lambda value: value is None)


class GivenFile(Frozen):
    """Bytes that a tool gives, and that are no text.

    Attributes:
        name: What the tool calls them, such as an address, in one line.
        data: In base64; at least one byte.
    """

    name: Annotated[str, AfterValidator(one_line)] = Field(max_length=MAX_FILE_NAME)
    media_type: str = Field(max_length=512, pattern=r"^[!-~][ -~]*$")
    data: str = Field(min_length=1, repr=False)

    @field_validator("data")
    @classmethod
    def _is_base64(cls, data: str) -> str:
        base64.b64decode(data, validate=True)
        return data

    @property
    def raw(self) -> bytes:
        """The bytes."""
        return base64.b64decode(self.data)


class Kept(NamedTuple):
    """An artifact, and its blobs by digest."""

    artifact: Artifact
    blobs: dict[str, bytes]


def kept(text: str, *, tool: str, call_id: str) -> Kept:
    """The text as an artifact."""
    return _kept(text.encode(errors="replace"), tool, call_id, lines=True)


def kept_file(file: GivenFile, *, tool: str, call_id: str) -> Kept:
    """The bytes as an artifact."""
    made = _kept(file.raw, tool, call_id, lines=False)
    named = made.artifact.model_copy(update={"media_type": file.media_type, "name": file.name})
    return Kept(named, made.blobs)


def _kept(raw: bytes, tool: str, call_id: str, *, lines: bool) -> Kept:
    digest = digest_of(raw)
    parts = [raw[start : start + PIECE_BYTES] for start in range(0, len(raw), PIECE_BYTES)]
    pieces = [digest_of(part) for part in parts]
    artifact = Artifact(
        artifact_id=f"art_{digest[:_ID_CHARS]}",
        digest=digest,
        size=len(raw),
        lines=_lines_of(raw) if lines else 0,
        tool=tool,
        call_id=call_id,
        pieces=tuple(pieces),
    )
    return Kept(artifact, dict(zip(pieces, parts, strict=True)))


def has_room(there: Iterable[Artifact], new: Artifact) -> bool:
    """Whether a session that has these may keep another one."""
    sizes = [one.size for one in there]
    return len(sizes) < MAX_ARTIFACTS and sum(sizes) + new.size <= MAX_SESSION_BYTES


def preview(text: str, artifact: Artifact | None) -> str:
    """The beginning and the end of a large text, and how to read what is between; None: it is not kept."""
    raw = text.encode(errors="replace")
    head, tail = _head(raw), _tail(raw)
    left_out = len(raw) - len(head) - len(tail)
    shown_lines = head.count(b"\n")
    notice = f"[... {left_out} of {len(raw)} bytes are left out here ({_lines_of(raw)} lines in all). "
    if artifact is None:
        notice += "They were not kept: the session has as many artifacts as it may. Ask for less at a time. ...]"
    else:
        notice += (
            f'All of it is artifact {artifact.artifact_id}: {READ_ARTIFACT} with "offset": {shown_lines} reads on '
            'here, and with "find" it finds lines. ...]'
        )
    return f"{head.decode(errors='ignore')}\n{notice}\n{tail.decode(errors='ignore')}"


def pieces_of(artifact: Artifact, start: int, end: int) -> tuple[str, ...]:
    """The digests of the pieces that hold the bytes from ``start`` up to ``end``."""
    return artifact.pieces[start // PIECE_BYTES : -(-end // PIECE_BYTES)]


def cut_from(artifact: Artifact, blobs: Mapping[str, bytes], start: int, end: int) -> bytes:
    """The bytes from ``start`` up to ``end``.

    Raises:
        KeyError: a piece is missing.
    """
    first = start // PIECE_BYTES * PIECE_BYTES
    return b"".join(blobs[piece] for piece in pieces_of(artifact, start, end))[start - first : end - first]


def _lines_of(raw: bytes) -> int:
    return raw.count(b"\n") + (not raw.endswith(b"\n") and bool(raw))


def _head(raw: bytes) -> bytes:
    """The beginning, up to the end of a line if there is one in its second half."""
    head = raw[:_HEAD_BYTES]
    end = head.rfind(b"\n")
    return head[: end + 1] if end >= _HEAD_BYTES // 2 else head


def _tail(raw: bytes) -> bytes:
    """The end, from the beginning of a line if there is one in its first half."""
    tail = raw[-_TAIL_BYTES:]
    start = tail.find(b"\n")
    return tail[start + 1 :] if 0 <= start < _TAIL_BYTES // 2 else tail
