"""Server-sent events: the boundary between the bytes of a stream and its events.

Bytes may arrive split anywhere, also inside a character or a line end. Format: the HTML standard, "Server-sent events",
with one leniency: an event that the end of the stream cuts off before its blank line is still handed out by ``flush``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from actors.errors import ModelProtocolError

MAX_LINE_BYTES = 4 * 1024 * 1024
"""Longest line. A provider may send a whole tool argument in one line; 4 MiB is far beyond a model's output."""

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""Most bytes of data that one event may gather over its lines."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
_MAX_RETRY_DIGITS = 9


@dataclass(frozen=True)
class ServerSentEvent:
    """One event.

    Attributes:
        data: The data lines, joined by line feeds.
        event: Its type.
        id: The last event id so far; it holds until another one comes.
        retry: Reconnection time in milliseconds that this event set, or None.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


class SseDecoder:
    """An incremental decoder.

    Args:
        source: Who sends the stream, for errors.
        max_line: Longest line in bytes.
        max_event: Most data of one event in bytes.
    """

    def __init__(self, source: str, *, max_line: int = MAX_LINE_BYTES, max_event: int = MAX_EVENT_BYTES) -> None:
        self._source = source
        self._max_line = max_line
        self._max_event = max_event
        self._line = bytearray()
        self._after_cr = False
        self._first = True
        self._last_id = ""
        self._reset()

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete.

        Raises:
            ModelProtocolError: a line or an event is larger than its limit.
        """
        if not chunk:
            return []
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
            if not chunk:
                return []
        self._after_cr = chunk.endswith(b"\r")
        *ended, rest = _LINE_END.split(chunk)
        found: list[ServerSentEvent] = []
        for piece in ended:
            self._hold(piece)
            self._end_line(found)
        self._hold(rest)
        return found

    def flush(self) -> list[ServerSentEvent]:
        """The event that the end of the stream left open, if any; the decoder begins anew."""
        found: list[ServerSentEvent] = []
        self._end_line(found)
        self._end_event(found)
        self._after_cr, self._first, self._last_id = False, True, ""
        return found

    def _reset(self) -> None:
        self._data: list[str] = []
        self._data_bytes = 0
        self._event = ""
        self._retry: int | None = None

    def _hold(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > self._max_line:
            raise ModelProtocolError(self._source, f"a line of its event stream is longer than {self._max_line} bytes")
        self._line += piece

    def _end_line(self, found: list[ServerSentEvent]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            line = line.removeprefix(_BOM)
            self._first = False
        if line:
            self._field(line)
        else:
            self._end_event(found)

    def _field(self, line: bytes) -> None:
        raw_name, _, raw_value = line.partition(b":")
        name = raw_name.decode(errors="replace")
        value = raw_value.removeprefix(b" ").decode(errors="replace")
        match name:
            case "data":
                self._data_bytes += len(raw_value) + 1
                if self._data_bytes > self._max_event:
                    raise ModelProtocolError(self._source, f"an event of its stream exceeds {self._max_event} bytes")
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._last_id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) <= _MAX_RETRY_DIGITS:
                self._retry = int(value)
            case _:
                pass

    def _end_event(self, found: list[ServerSentEvent]) -> None:
        if self._data:
            data = "\n".join(self._data)
            found.append(ServerSentEvent(data, self._event or "message", self._last_id, self._retry))
        self._reset()
