from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from actors.domain.calls import Outcome
from actors.domain.messages import Base64Source
from actors.errors import PathOutsideWorkspace, ToolError
from actors.tools.base import MAX_OUTPUT_BYTES, ToolContext
from actors.tools.files import MAX_ENTRIES, MAX_IMAGE_BYTES, LsTool, ReadTool

from .conftest import MakeContext

_PNG = b"\x89PNG\r\n\x1a\n"


async def _read(ctx: ToolContext, **args: Any) -> str:
    return (await ReadTool().run({"file_path": "f"} | args, ctx)).content


async def test_read_numbers_lines_from_one(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_bytes(b"one\r\ntwo\n\nfour")

    assert await _read(context()) == "     1\tone\n     2\ttwo\n     3\t\n     4\tfour"


async def test_read_goes_on_at_the_offset_that_its_notice_names(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("".join(f"line {number}\n" for number in range(5)))

    first = await _read(context(), limit=2)
    rest = await _read(context(), offset=2)

    assert first == "     1\tline 0\n     2\tline 1\n[more lines follow: read on with offset 2]"
    assert rest.splitlines() == ["     3\tline 2", "     4\tline 3", "     5\tline 4"]


async def test_read_stops_at_two_thousand_lines_and_at_the_output_bound(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("x\n" * 2001)
    assert (await _read(context())).endswith("[more lines follow: read on with offset 2000]")

    (workspace / "f").write_text(("y" * 1000 + "\n") * 500)
    text = await _read(context())

    assert len(text.encode()) <= MAX_OUTPUT_BYTES
    assert "[more lines follow" in text


async def test_read_cuts_a_long_line_without_losing_the_next_one(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("ä" * 1_000_000 + "\nnext\n")

    first, second = (await _read(context())).splitlines()

    assert first == f"     1\t{'ä' * 2000} [line cut]"
    assert second == "     2\tnext"


async def test_an_offset_past_the_end_is_an_error_that_tells_the_length(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_text("one\ntwo\n")

    with pytest.raises(ToolError, match="has 2 lines"):
        await _read(context(), offset=2)


async def test_an_empty_file_reads_as_empty(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").touch()

    assert await _read(context()) == "'f' is an empty file."


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("missing", "There is no file"), ("d", "is a directory"), ("f/x", "not a directory"), ("binary", "binary file")],
)
async def test_what_cannot_be_read_is_told_why(workspace: Path, context: MakeContext, path: str, sentence: str) -> None:
    (workspace / "f").touch()
    (workspace / "d").mkdir()
    (workspace / "binary").write_bytes(b"\x7fELF\0\0")

    with pytest.raises(ToolError, match=sentence):
        await _read(context(), file_path=path)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (_PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
    ],
)
async def test_an_image_is_attached_whole(workspace: Path, context: MakeContext, head: bytes, media_type: str) -> None:
    data = head + bytes(range(256)) * 50
    (workspace / "f").write_bytes(data)

    outcome = await ReadTool().run({"file_path": "f"}, context())

    (image,) = outcome.images
    assert image.source == Base64Source(media_type=media_type, data=base64.b64encode(data).decode())
    assert outcome.outcome is Outcome.ok


async def test_an_image_over_the_bound_is_refused(workspace: Path, context: MakeContext) -> None:
    (workspace / "f").write_bytes(_PNG + b"\0" * MAX_IMAGE_BYTES)

    with pytest.raises(ToolError, match="larger than 4 MiB"):
        await _read(context())


async def test_ls_shows_type_size_and_name_in_order(workspace: Path, context: MakeContext) -> None:
    (workspace / "b.txt").write_text("12345")
    (workspace / "a").mkdir()
    (workspace / "link").symlink_to("/etc/passwd")

    outcome = await LsTool().run({}, context())

    assert [line.split() for line in outcome.content.splitlines()] == [
        ["dir", "-", "a/"],
        ["file", "5", "b.txt"],
        ["link", "-", "link", "->", "/etc/passwd"],
    ]


async def test_ls_is_bounded_and_says_what_it_left_out(workspace: Path, context: MakeContext) -> None:
    for number in range(MAX_ENTRIES + 3):
        (workspace / f"{number:05}").touch()

    lines = (await LsTool().run({"path": "."}, context())).content.splitlines()

    assert len(lines) == MAX_ENTRIES + 1
    assert lines[-1] == "[3 more entries; narrow it down with glob]"


async def test_ls_of_a_missing_or_foreign_path_is_an_error(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="no file or directory 'missing'"):
        await LsTool().run({"path": "missing"}, context())
    with pytest.raises(PathOutsideWorkspace):
        await LsTool().run({"path": "/etc"}, context())
