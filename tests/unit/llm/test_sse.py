"""The decoder gives the same events however the bytes were cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ModelProtocolError
from actors.llm.sse import ServerSentEvent, SseDecoder

_STREAM = (
    "\ufeff: a comment\r\n"
    "event: greeting\r\ndata: grüße 🎭\r\n\r\n"
    "data: one\rdata:two\r\r"
    "id: 7\nretry: 250\ndata\n\n"
    "event: dropped\n\n"
    "retry: soon\nid: a\0b\nunknown: x\ndata:  two spaces\n\n"
    "data: mixed\r\n\n"
    "data: last"
).encode()

_EVENTS = [
    ServerSentEvent("grüße 🎭", "greeting"),
    ServerSentEvent("one\ntwo"),
    ServerSentEvent("", id="7", retry=250),
    ServerSentEvent(" two spaces", id="7"),
    ServerSentEvent("mixed", id="7"),
    ServerSentEvent("last", id="7"),
]


def _decode(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = SseDecoder("test")
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.flush()


def test_a_stream_in_one_piece_gives_its_events() -> None:
    assert _decode(_STREAM) == _EVENTS


@pytest.mark.parametrize("at", range(len(_STREAM) + 1))
def test_a_stream_cut_at_any_byte_gives_the_same_events(at: int) -> None:
    assert _decode(_STREAM[:at], _STREAM[at:]) == _EVENTS


def test_a_stream_byte_by_byte_gives_the_same_events() -> None:
    assert _decode(*(bytes([byte]) for byte in _STREAM)) == _EVENTS


@given(st.data())
def test_any_bytes_give_the_same_events_however_they_are_cut(data: st.DataObject) -> None:
    pieces = st.sampled_from([b"data:", b"data: x", b"event: e", b"id: 1", b"\r", b"\n", b"\r\n", b":", "é".encode()])
    stream = b"".join(data.draw(st.lists(st.one_of(pieces, st.binary(max_size=3)), max_size=20)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))

    bounds = [0, *cuts, len(stream)]

    assert _decode(*(stream[a:b] for a, b in zip(bounds, bounds[1:], strict=False))) == _decode(stream)


_LINES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n"), max_size=20)


@given(st.lists(st.lists(_LINES, min_size=1, max_size=3), max_size=4), st.sampled_from(["\n", "\r", "\r\n"]))
def test_what_a_server_writes_is_read_back(events: list[list[str]], end: str) -> None:
    written = "".join("".join(f"data: {line}{end}" for line in lines) + end for lines in events)

    assert [event.data for event in _decode(written.encode())] == ["\n".join(lines) for lines in events]


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    assert _decode(b"data: \xff\n\n") == [ServerSentEvent("\ufffd")]


def test_an_event_is_handed_out_as_soon_as_its_blank_line_is_there() -> None:
    decoder = SseDecoder("test")

    assert decoder.feed(b"data: x\r\n") == []
    assert decoder.feed(b"\r") == [ServerSentEvent("x")]
    assert decoder.feed(b"\n") == []


def test_a_line_that_never_ends_is_refused() -> None:
    decoder = SseDecoder("test", max_line=100)

    with pytest.raises(ModelProtocolError, match="longer than 100 bytes"):
        for _ in range(20):
            decoder.feed(b"data: xxxx")


def test_an_event_that_never_ends_is_refused() -> None:
    decoder = SseDecoder("test", max_event=100)

    with pytest.raises(ModelProtocolError, match="exceeds 100 bytes"):
        for _ in range(20):
            decoder.feed(b"data: xxxx\n")
