"""The tools that read and list: ``read`` and ``ls``. Both only look, in bounded memory."""

from __future__ import annotations

import base64
import heapq
import os
import stat
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from actors.domain.calls import Outcome, ToolOutcome
from actors.domain.messages import Base64Source, ImageBlock
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import ToolError
from actors.tools.base import (
    MAX_LINE_CHARS,
    MAX_OUTPUT_BYTES,
    MAX_READ_LINES,
    Tool,
    ToolContext,
    schema,
    succeeded,
)
from actors.tools.threads import Stop, stoppable
from actors.tools.workspace import Place, locate

MAX_IMAGE_BYTES = 4 * 1024 * 1024
"""Providers take images of up to 5 MB, counted in base64, which is a third longer."""

MAX_ENTRIES = 1000
"""Entries of one listing; a directory with more is one to search, not to read."""

_CHUNK = 1 << 16
_SNIFF = 8192
"""Bytes looked at to tell text from binary, as git does."""

_NOTICE_BYTES = 200
"""Room kept within the output's bound for the notice that names the next offset."""

PATH = {"type": "string", "minLength": 1, "description": "Path relative to the workspace, or absolute inside it."}


class ReadTool(Tool):
    """Reads a text file by lines, or an image."""

    definition = ToolDefinition(
        name="read",
        description=(
            "Read a file. Text comes with line numbers that start at 1; an image is attached. "
            f"At most {MAX_READ_LINES} lines at a time: go on with offset."
        ),
        parameters=schema(
            {
                "file_path": PATH,
                "offset": {"type": "integer", "minimum": 0, "description": "Lines to skip.", "default": 0},
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_READ_LINES, "description": "Lines to read."},
            },
            "file_path",
        ),
        effect=EffectClass.pure,
    )

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Read lines of a text file, or the whole of an image."""
        path, offset, limit = args["file_path"], int(args.get("offset", 0)), int(args.get("limit", MAX_READ_LINES))

        def work(stop: Stop) -> ToolOutcome:
            with locate(str(ctx.workspace), path) as place, place.open_file() as file:
                return _read(place, file, offset, limit, stop)

        return await stoppable(work)


class LsTool(Tool):
    """Lists a directory."""

    definition = ToolDefinition(
        name="ls",
        description="List a directory: type, size in bytes and name of each entry, sorted by name.",
        parameters=schema({"path": PATH | {"default": "."}}),
        effect=EffectClass.pure,
    )

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """List the directory."""
        path = args.get("path", ".")

        def work(stop: Stop) -> ToolOutcome:
            with locate(str(ctx.workspace), path) as place, place.open_directory() as handle:
                return _list(place, handle, stop)

        return await stoppable(work)


def image_type(head: bytes) -> str | None:
    """The media type of an image by its first bytes; None for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def _read(place: Place, file: BinaryIO, offset: int, limit: int, stop: Stop) -> ToolOutcome:
    head = file.read(_SNIFF)
    media_type = image_type(head)
    if media_type is not None:
        return _image(place, file, head, media_type)
    if b"\0" in head:
        raise ToolError(f"{place.asked!r} is a binary file; look at it with a command such as file or xxd in bash.")
    file.seek(0)
    return _lines(place, file, offset, limit, stop)


def _image(place: Place, file: BinaryIO, head: bytes, media_type: str) -> ToolOutcome:
    data = head + file.read(MAX_IMAGE_BYTES + 1 - len(head))
    if len(data) > MAX_IMAGE_BYTES:
        raise ToolError(f"Image {place.asked!r} is larger than {MAX_IMAGE_BYTES >> 20} MiB; scale it down first.")
    source = Base64Source(media_type=media_type, data=base64.b64encode(data).decode())
    return ToolOutcome(
        outcome=Outcome.ok,
        content=f"Image {PurePosixPath(place.relative).name} ({media_type}, {len(data)} bytes) is attached.",
        images=(ImageBlock(source=source),),
        metadata={"file_path": place.relative, "media_type": media_type, "bytes": len(data)},
    )


def _lines(place: Place, file: BinaryIO, offset: int, limit: int, stop: Stop) -> ToolOutcome:
    shown: list[str] = []
    size = number = 0
    more = False
    while (line := _line(file, stop, keep=number >= offset)) is not None:
        if number >= offset:
            text = f"{number + 1:>6}\t{line}"
            size += len(text.encode()) + 1
            if len(shown) == limit or size > MAX_OUTPUT_BYTES - _NOTICE_BYTES:
                more = True
                break
            shown.append(text)
        number += 1
    if offset and number <= offset and not more:
        raise ToolError(f"Offset {offset} is past the end of {place.asked!r}, which has {number} lines.")
    if more:
        shown.append(f"[more lines follow: read on with offset {number}]")
    metadata = {"file_path": place.relative, "lines": len(shown) - more, "more": more}
    return succeeded("\n".join(shown) if shown else f"{place.asked!r} is an empty file.", **metadata)


def _line(file: BinaryIO, stop: Stop, *, keep: bool) -> str | None:
    """The next line, cut at the bound; None at the end. What is cut is read through in chunks, never held."""
    # Four bytes are the longest UTF-8 form of a character.
    bound = MAX_LINE_CHARS * 4 if keep else _CHUNK
    first = chunk = file.readline(bound)
    stop.check()
    if not first:
        return None
    while chunk and not chunk.endswith(b"\n"):
        chunk = file.readline(_CHUNK)
        stop.check()
    if not keep:
        return ""
    text = first.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    cut = len(text) > MAX_LINE_CHARS or (len(first) == bound and not first.endswith(b"\n"))
    return f"{text[:MAX_LINE_CHARS]} [line cut]" if cut else text


def _list(place: Place, handle: int, stop: Stop) -> ToolOutcome:
    count = 0

    def names() -> Iterator[str]:
        nonlocal count
        with os.scandir(handle) as entries:
            for entry in entries:
                stop.check()
                count += 1
                yield entry.name

    rows = [_entry(handle, name) for name in heapq.nsmallest(MAX_ENTRIES, names())]
    if count > MAX_ENTRIES:
        rows.append(f"[{count - MAX_ENTRIES} more entries; narrow it down with glob]")
    text = "\n".join(rows) if rows else f"{place.asked!r} is an empty directory."
    return succeeded(text, path=place.relative, entries=count)


def _entry(handle: int, name: str) -> str:
    shown = name.encode(errors="replace").decode()
    try:
        status = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except OSError:
        return f"?     {'-':>10}  {shown}"
    if stat.S_ISDIR(status.st_mode):
        return f"dir   {'-':>10}  {shown}/"
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(name, dir_fd=handle).encode(errors="replace").decode()
        return f"link  {'-':>10}  {shown} -> {target}"
    kind = "file" if stat.S_ISREG(status.st_mode) else "other"
    return f"{kind:<5} {status.st_size:>10}  {shown}"
