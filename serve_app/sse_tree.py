"""The events of a family as server-sent events. An id tells the place of each session: ``parent=12;child=3``.

A reader that comes back with the last id it saw misses no record and gets none twice. Pieces of running calls have no
ids: those of a call that began before are not repeated, its record has all of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from actors.domain.events import Event, MessageDelta, PersistenceFailed, ToolOutputDelta
from actors.domain.ids import check_session_id
from actors.errors import InvalidRequest
from actors.reading.tree_events import After, checked_after
from serve_app import sse


def parse(text: str) -> After:
    """Places from an id of this stream; a plain number is that of the first session.

    Raises:
        InvalidRequest, InvalidSessionId: neither form.
    """
    if "=" not in text:
        return sse.Cursor.parse(text).seq
    places: dict[str, int] = {}
    for part in text.split(";"):
        session_id, _, seq = part.partition("=")
        if not sse.is_number(seq):
            raise InvalidRequest(f"Cursor {part[:200]!r} is not of the form 'session=12'.")
        places[check_session_id(session_id)] = int(seq)
    return checked_after(places)


def shown(places: dict[str, int]) -> str:
    """Places as an id."""
    return ";".join(f"{session_id}={seq}" for session_id, seq in places.items())


def stream(events: AsyncIterator[Event], *, instance: str) -> AsyncGenerator[bytes]:
    """Turn events into the bytes of a stream; see ``sse.stream``."""
    places: dict[str, int] = {}

    def framed(event: Event) -> bytes:
        head = ""
        if not isinstance(event, MessageDelta | ToolOutputDelta | PersistenceFailed):
            places[event.session_id] = event.seq
            head = f"id: {shown(places)}\n"
        return f"{head}event: {event.type}\ndata: {event.model_dump_json()}\n\n".encode()

    return sse.frames(events, framed, instance=instance)
