"""Events in, bytes of a stream out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from actors.domain.events import Event, MessageDelta, PersistenceFailed
from actors.domain.records import SessionPaused
from actors.errors import InvalidRequest, SessionNotFound
from actors.llm.sse import ServerSentEvent, SseDecoder
from serve_app.sse import HEARTBEAT, Cursor, stream

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _record(seq: int) -> SessionPaused:
    return SessionPaused(seq=seq, session_id="s", at=_NOW, epoch=1)


def _delta(seq: int, index: int, text: str = "x") -> MessageDelta:
    return MessageDelta(
        session_id="s", turn_id="t", call_id="c", attempt=1, seq=seq, index=index, channel="text", text=text
    )


async def _each(*events: Event) -> AsyncIterator[Event]:
    for event in events:
        yield event


async def _read(*events: Event, after: str = "0") -> list[ServerSentEvent]:
    decoder = SseDecoder("test")
    found: list[ServerSentEvent] = []
    async for chunk in stream(_each(*events), after=Cursor.parse(after)):
        found += decoder.feed(chunk)
    return found


def _ids(events: list[ServerSentEvent]) -> list[str]:
    return [event.id for event in events]


async def test_records_carry_their_seq_and_deltas_their_call_and_index() -> None:
    found = await _read(_record(1), _record(2), _delta(2, 0), _delta(2, 1), _record(3))

    assert _ids(found) == ["1", "2", "2.0", "2.1", "3"]
    assert [event.event for event in found][1:3] == ["session.paused", "message.delta"]
    assert json.loads(found[0].data)["seq"] == 1


async def test_a_delta_of_an_older_call_does_not_move_the_reader_back() -> None:
    found = await _read(_record(2), _record(5), _delta(2, 0), _record(6))

    assert _ids(found) == ["2", "5", "5", "6"]
    assert found[2].event == "message.delta"


@pytest.mark.parametrize(
    ("after", "seen"),
    [
        ("0", ["1", "2", "2.0", "2.1", "3"]),
        ("2", ["2.0", "2.1", "3"]),
        ("2.0", ["2.1", "3"]),
        ("2.1", ["3"]),
        ("3", []),
    ],
)
async def test_a_reader_that_comes_back_goes_on_right_after_the_id_it_names(after: str, seen: list[str]) -> None:
    events = [_record(1), _record(2), _delta(2, 0), _delta(2, 1), _record(3)]
    cursor = Cursor.parse(after)

    found = await _read(*[event for event in events if event.seq > cursor.read_after], after=after)

    assert _ids(found) == seen


async def test_text_with_line_ends_stays_one_event() -> None:
    text = "a\nb\r\nc\u2028d\n\nevent: x"

    (found,) = await _read(_delta(1, 0, text))

    assert json.loads(found.data)["text"] == text


async def test_what_is_no_part_of_the_order_has_no_id() -> None:
    failed = PersistenceFailed(session_id="s", at=_NOW, error="disk full")

    found = await _read(_record(4), failed)

    assert [(event.event, event.id) for event in found][1] == ("session.persistence_failed", "4")


async def test_a_failure_of_the_source_is_the_last_event() -> None:
    async def broken() -> AsyncIterator[Event]:
        yield _record(1)
        raise SessionNotFound("s")

    chunks = [chunk async for chunk in stream(broken())]
    (_, problem) = SseDecoder("test").feed(b"".join(chunks))

    assert problem.event == "problem"
    assert json.loads(problem.data)["code"] == "SessionNotFound"


async def test_silence_is_filled_with_heartbeats_and_no_event_is_lost() -> None:
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[Event]:
        yield _record(1)
        await gate.wait()
        yield _record(2)

    beats = 0
    chunks: list[bytes] = []
    async for chunk in stream(slow(), heartbeat_s=0.01):
        chunks.append(chunk)
        if chunk == HEARTBEAT:
            beats += 1
        if beats == 3:
            gate.set()

    assert [event.id for event in SseDecoder("test").feed(b"".join(chunks))] == ["1", "2"]


async def test_closing_the_stream_closes_its_source_even_while_that_waits() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[Event]:
        try:
            yield _record(1)
            await asyncio.Event().wait()
        finally:
            closed.set()

    body = stream(endless(), heartbeat_s=0.01)
    async for chunk in body:
        if chunk == HEARTBEAT:
            break
    await body.aclose()

    assert closed.is_set()


@pytest.mark.parametrize("text", ["", "x", "-1", "1.", ".1", "1.2.3", "1.-2", "\u0661", "9" * 30, str(2**53 + 1), "1 "])
def test_a_cursor_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        Cursor.parse(text)
