"""Artifacts: what is kept of a large text, and what is shown of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.domain.artifacts import PIECE_BYTES, cut_from, kept, pieces_of, preview

LARGE = "".join(f"line {number} äöü\n" for number in range(90_000))


def test_the_preview_is_the_beginning_and_the_end_and_says_how_to_read_on() -> None:
    artifact = kept(LARGE, tool="t", call_id="c").artifact
    shown = preview(LARGE, artifact)
    head, _, rest = shown.partition("[... ")
    notice, _, tail = rest.partition(" ...]")

    assert LARGE.startswith(head.rstrip("\n")) and LARGE.endswith(tail.lstrip("\n"))
    assert len(shown.encode()) <= 32 * 1024
    assert artifact.artifact_id in notice and f'"offset": {head.rstrip().count(chr(10)) + 1}' in notice
    assert f"{len(LARGE.encode())} bytes" in notice and "(90000 lines in all)" in notice


def test_a_preview_of_what_is_not_kept_says_so() -> None:
    assert "not kept" in preview(LARGE, None)


def test_a_text_without_any_line_end_is_shown_by_its_ends_too() -> None:
    shown = preview("ä" * 200_000, None)
    assert shown.startswith("ä" * 1000) and shown.endswith("ä" * 1000)


@given(st.integers(0, 3 * PIECE_BYTES), st.integers(0, 3 * PIECE_BYTES))
def test_every_range_is_cut_from_the_pieces_that_hold_it(one: int, other: int) -> None:
    raw = LARGE.encode()
    artifact, blobs = kept(LARGE, tool="t", call_id="c")
    start, end = sorted((min(one, artifact.size), min(other, artifact.size)))
    held = {piece: blobs[piece] for piece in pieces_of(artifact, start, end)}

    assert cut_from(artifact, held, start, end) == raw[start:end]
    assert len(held) <= (end - start) // PIECE_BYTES + 2


def test_the_same_text_has_the_same_name_whoever_gives_it() -> None:
    assert kept(LARGE, tool="t", call_id="c").artifact.artifact_id == kept(LARGE, tool="u", call_id="d")[0].artifact_id
