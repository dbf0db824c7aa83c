"""Events as server-sent events: between an iterator of events and the bytes of a ``text/event-stream``.

A record's id is its seq, a delta's is ``seq.index`` of the call it belongs to. A reader that comes back with the last
id it saw goes on right after it. An id is left out where it would move the reader back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from actors.checks import MAX_SEQ
from actors.domain.events import Event, MessageDelta, PersistenceFailed, ToolOutputDelta, TreeJoined
from actors.errors import InvalidRequest
from serve_app.problems import problem_of

MEDIA_TYPE = "text/event-stream"

HEARTBEAT_S = 15.0
"""Silence after which a comment is sent: common proxies drop a connection that is silent for 30 to 60 s."""

HEARTBEAT = b": keep-alive\n\n"

RETRY_MS = 1000
"""How long a browser waits before it comes back."""

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""No cache and no buffering proxy in between."""


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """Where a reader stands: after record ``seq`` and, unless -1, after piece ``index`` of the call begun there."""

    seq: int = 0
    index: int = -1

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """From ``12`` or ``12.3``.

        Raises:
            InvalidRequest: neither form.
        """
        seq, dot, index = text.partition(".")
        if not is_number(seq) or (dot and not is_number(index)):
            raise InvalidRequest(f"Cursor {text[:40]!r} is not an event id such as '12' or '12.3'.")
        return cls(int(seq), int(index) if dot else -1)

    @property
    def read_after(self) -> int:
        """What to read after: one record early, so that the deltas of a call begun at ``seq`` are followed again."""
        return max(0, self.seq - 1)

    def __str__(self) -> str:
        return str(self.seq) if self.index < 0 else f"{self.seq}.{self.index}"


def is_number(text: str) -> bool:
    """Whether it is the number of a record, or of a piece of a call."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SEQ)) and int(text) <= MAX_SEQ


def position(event: Event) -> Cursor | None:
    """Where an event stands; None for one that is no part of the order."""
    match event:
        case PersistenceFailed() | TreeJoined():
            return None
        case MessageDelta() | ToolOutputDelta():
            return Cursor(event.seq, event.index)
        case _:
            return Cursor(event.seq)


def _seen(event: Event, after: Cursor) -> bool:
    place = position(event)
    if place is None:
        return False
    if isinstance(event, MessageDelta | ToolOutputDelta):
        return place.seq == after.seq and place.index <= after.index
    return place.seq <= after.seq


def frame(event: Event, last: Cursor) -> bytes:
    """One event of the stream; ``last`` is the greatest id sent so far."""
    place = position(event)
    head = f"id: {place}\n" if place is not None and place > last else ""
    return f"{head}event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()


async def stream(
    events: AsyncIterator[Event], *, after: Cursor = Cursor(), instance: str = "", heartbeat_s: float = HEARTBEAT_S
) -> AsyncGenerator[bytes]:
    """Turn events into the bytes of a stream, with heartbeats while nothing happens.

    A failure of the iterator becomes one last event ``problem``. Closing this closes the iterator.
    """
    last = after

    def framed(event: Event) -> bytes:
        nonlocal last
        if _seen(event, after):
            return b""
        made = frame(event, last)
        last = max(last, position(event) or last)
        return made

    async with aclosing(frames(events, framed, instance=instance, heartbeat_s=heartbeat_s)) as made:
        async for one in made:
            yield one


async def frames(
    events: AsyncIterator[Event], framed: Callable[[Event], bytes], *, instance: str, heartbeat_s: float = HEARTBEAT_S
) -> AsyncGenerator[bytes]:
    """The same, with frames made by somebody else; an empty one is left out."""
    yield f"retry: {RETRY_MS}\n\n".encode()
    try:
        async with aclosing(_with_heartbeats(events, heartbeat_s)) as merged:
            async for event in merged:
                made = HEARTBEAT if event is None else framed(event)
                if made:
                    yield made
    except Exception as error:
        yield f"event: problem\ndata: {problem_of(error, instance).model_dump_json(exclude_none=True)}\n\n".encode()


async def _with_heartbeats(events: AsyncIterator[Event], heartbeat_s: float) -> AsyncGenerator[Event | None]:
    """Yield the events, and None for every ``heartbeat_s`` without one. The wait for an event is never cut short."""
    waiting: asyncio.Task[Event] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(events))
            done, _ = await asyncio.wait({waiting}, timeout=heartbeat_s)
            if not done:
                yield None
                continue
            try:
                event = waiting.result()
            except StopAsyncIteration:
                return
            finally:
                waiting = None
            yield event
    finally:
        await _close(events, waiting)


async def _next(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


async def _close(events: AsyncIterator[Event], waiting: asyncio.Task[Event] | None) -> None:
    if waiting is not None:
        waiting.cancel()
        await asyncio.wait({waiting})
    closing = getattr(events, "aclose", None)
    if closing is not None:
        await closing()
