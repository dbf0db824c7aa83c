"""The tool that reads on in artifacts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.domain.calls import ToolOutcome
from actors.errors import StoreUnavailable, ToolError
from actors.tools.artifacts import MAX_BYTES, ReadArtifactTool, whole_artifact
from tests.unit.tools.conftest import MakeCall, MakeContext

TEXT = "".join(f"line {number}\n" for number in range(1, 5001)) + "x" * 3000 + "\nEnd"


async def _read(context: MakeContext, raw: bytes = TEXT.encode(), **args: Any) -> ToolOutcome:
    async def artifact() -> bytes:
        return raw

    return await ReadArtifactTool().run({"artifact_id": "a", **args}, replace(context(), artifact=artifact))


async def test_lines_are_numbered_and_go_on_where_the_notice_says(context: MakeContext) -> None:
    first = await _read(context, offset=10, limit=2)
    assert first.content == "    11\tline 11\n    12\tline 12\n[more lines follow: read on with offset 12]"
    assert (await _read(context, offset=12, limit=1)).content.startswith("    13\tline 13\n")


async def test_the_end_has_no_notice_and_there_is_nothing_behind_it(context: MakeContext) -> None:
    last = await _read(context, offset=5001)
    assert (last.content, last.metadata) == ("  5002\tEnd", {"lines": 1, "more": False})
    with pytest.raises(ToolError, match="has 5002 lines"):
        await _read(context, offset=6000)


async def test_a_long_line_is_cut_and_read_on_by_its_bytes(context: MakeContext) -> None:
    start = TEXT.index("xxx")
    cut = await _read(context, offset=5000, limit=1)
    assert f"x [line cut: from_byte {start} reads it]" in cut.content
    assert (await _read(context, from_byte=start)).content == "x" * 3000 + "\nEnd"


async def test_lines_with_a_text_are_found_from_an_offset_on(context: MakeContext) -> None:
    found = await _read(context, find="LINE 499", ignore_case=True)
    assert [line.split("\t")[1] for line in found.content.splitlines()] == [
        "line 499",
        *(f"line {n}" for n in range(4990, 5000)),
    ]
    assert (await _read(context, find="line 499", offset=4999)).content == "No line from 4999 on contains 'line 499'."
    more = await _read(context, find="line", limit=1)
    assert more.content.endswith("[more lines follow: read on with offset 1]")


async def test_bytes_are_bounded_and_no_character_is_torn(context: MakeContext) -> None:
    raw = ("x" + "ä" * MAX_BYTES).encode()
    first = await _read(context, raw, from_byte=0)
    read, more = first.metadata["bytes"], first.metadata["more"]
    assert (read, more) == (MAX_BYTES - 1, True)
    assert "\N{REPLACEMENT CHARACTER}" not in first.content
    assert (await _read(context, raw, from_byte=read)).content.startswith("ää")
    with pytest.raises(ToolError, match="past its end"):
        await _read(context, raw, from_byte=len(raw))


async def test_one_reading_stays_far_below_what_would_be_kept_apart_again(context: MakeContext) -> None:
    many = await _read(context, b"y" * 1500 * 2000, limit=2000)
    assert len(many.content) < MAX_BYTES + 1000
    lines = await _read(context, (b"y" * 1500 + b"\n") * 2000)
    assert len(lines.content) < MAX_BYTES + 1000 and "read on with offset" in lines.content


async def test_an_artifact_that_the_session_has_not_is_told_so(make_call: MakeCall) -> None:
    async def blobs(tenant: str, digests: Any) -> dict[str, bytes]:
        raise StoreUnavailable("gone")

    with pytest.raises(ToolError, match="no such artifact"):
        await whole_artifact(make_call("read_artifact", {"artifact_id": "art_0"}), blobs)
