"""The tool ``read_artifact``: reads on in a result that was too large to be shown whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from actors.domain.artifacts import READ_ARTIFACT, cut_from
from actors.domain.calls import ToolCall, ToolOutcome
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import GreenroomError, ToolError
from actors.tools.base import MAX_LINE_CHARS, MAX_READ_LINES, Tool, ToolContext, schema, succeeded
from actors.tools.threads import in_thread

MAX_BYTES: Final = 64 * 1024
"""Of one reading: who has asked for a part of a large text wants no large part."""

Blobs = Callable[[str, Sequence[str]], Awaitable[Mapping[str, bytes]]]
"""Finds content by (tenant, digests)."""


async def whole_artifact(call: ToolCall, blobs: Blobs | None) -> bytes:
    """All of the artifact that a call reads on in.

    Raises:
        ToolError: The session has no such artifact, or its content cannot be had now.
    """
    artifact = call.artifact
    if artifact is None or blobs is None:
        raise ToolError("The session has no such artifact. Use an id that stands in one of its results.")
    if artifact.media_type is not None:
        raise ToolError(f"The artifact is {artifact.media_type}, no text: people can fetch it.")
    try:
        found = await blobs(call.tenant, sorted(set(artifact.pieces)))
        return cut_from(artifact, found, 0, artifact.size)
    except GreenroomError as error:
        raise ToolError(f"The artifact cannot be read now: {error}") from error
    except KeyError as error:
        raise ToolError("The content of the artifact is not there any more.") from error


class ReadArtifactTool(Tool):
    """Reads a part of an artifact: lines, lines with a text in them, or bytes."""

    definition = ToolDefinition(
        name=READ_ARTIFACT,
        description=(
            "Read on in a result that was too large to be shown whole, by the artifact's id that stands in it: lines "
            "from offset on, only lines that contain a text (find), or bytes of very long lines (from_byte)."
        ),
        parameters=schema(
            {
                "artifact_id": {"type": "string", "minLength": 1, "maxLength": 128},
                "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "Lines to skip."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_READ_LINES, "default": MAX_READ_LINES},
                "find": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "Only lines with this."},
                "ignore_case": {"type": "boolean", "default": False, "description": "For find."},
                "from_byte": {"type": "integer", "minimum": 0, "description": "Read bytes from here on, not lines."},
            },
            "artifact_id",
        ),
        effect=EffectClass.pure,
    )

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Read the part that is asked for."""
        raw = await ctx.artifact()
        return await in_thread(lambda: _bytes(raw, args["from_byte"]) if "from_byte" in args else _lines(raw, args))


def _bytes(raw: bytes, start: int) -> ToolOutcome:
    if start >= len(raw):
        raise ToolError(f"The artifact has {len(raw)} bytes; from_byte {start} is past its end.")
    end = start + MAX_BYTES
    # A character is not cut in two: the next reading begins with it.
    while start < end < len(raw) and raw[end] & 0xC0 == 0x80:
        end -= 1
    more = f"\n[{len(raw) - end} more bytes: read on with from_byte {end}]" if end < len(raw) else ""
    return succeeded(raw[start:end].decode(errors="replace") + more, bytes=len(raw[start:end]), more=bool(more))


def _lines(raw: bytes, args: dict[str, Any]) -> ToolOutcome:
    offset, limit, find = args.get("offset", 0), args.get("limit", MAX_READ_LINES), args.get("find")
    shown: list[str] = []
    size = number = 0
    more = None
    for number, (start, line) in enumerate(_each(raw), 1):
        if number <= offset or (find is not None and not _has(line, find, ignore_case=args.get("ignore_case", False))):
            continue
        text = f"{number:>6}\t{_shown(line, start)}"
        size += len(text.encode()) + 1
        if len(shown) == limit or size > MAX_BYTES:
            more = number - 1
            break
        shown.append(text)
    if not shown and find is not None:
        return succeeded(f"No line from {offset} on contains {find!r}.", lines=0, more=False)
    if not shown:
        raise ToolError(f"The artifact has {number} lines; offset {offset} is past its end.")
    notice = [f"[more lines follow: read on with offset {more}]"] if more is not None else []
    return succeeded("\n".join([*shown, *notice]), lines=len(shown), more=more is not None)


def _each(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each line begins, and the line without its end."""
    start = 0
    while start < len(raw):
        end = raw.find(b"\n", start)
        end = len(raw) if end < 0 else end
        yield start, raw[start:end].removesuffix(b"\r")
        start = end + 1


def _has(line: bytes, wanted: str, *, ignore_case: bool) -> bool:
    if not ignore_case:
        return wanted.encode(errors="replace") in line
    return wanted.casefold() in line.decode(errors="replace").casefold()


def _shown(line: bytes, start: int) -> str:
    text = line.decode(errors="replace")
    return f"{text[:MAX_LINE_CHARS]} [line cut: from_byte {start} reads it]" if len(text) > MAX_LINE_CHARS else text
