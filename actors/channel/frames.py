"""The boundary between bytes on a socket and frames: sans-I/O, shared by both ends of a channel.

A frame is a four-byte big-endian length and a msgpack array ``[kind, request_id, ...]``; request id 0 means the
connection as a whole. Above sits ``connection.py``; below there is only msgpack.

    HELLO   [0, 0, version, token]                        client, first frame
    WELCOME [1, 0, version]                               server, answer to HELLO
    REQUEST [2, id, method, args]                         a call: one REPLY or ERROR follows
    REQUEST [2, id, method, args, credit]                 a stream: ITEMs follow, then END or ERROR
    REPLY   [3, id, value]
    ERROR   [4, id, errors.to_wire(error)]                id 0: the connection is closed next
    ITEM    [5, id, value]                                at most as many as there is credit for
    END     [6, id]
    CANCEL  [7, id]                                       no answer follows
    CREDIT  [8, id, count]
    PING    [9, 0]
    PONG    [10, 0]
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import msgpack

from actors.errors import InvalidRequest

HELLO: Final = 0
WELCOME: Final = 1
REQUEST: Final = 2
REPLY: Final = 3
ERROR: Final = 4
ITEM: Final = 5
END: Final = 6
CANCEL: Final = 7
CREDIT: Final = 8
PING: Final = 9
PONG: Final = 10

PROTOCOL_VERSION: Final = 1
"""Sent in both directions of the handshake; raised with every change that an older peer would misread."""

MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
"""Largest body of a frame. A model context of a million tokens is about 5 MB and an image at most 20 MB in base64, so
nothing legitimate comes near; a peer that claims more is broken, and is not given the memory."""

MAX_HELLO_BYTES: Final = 4096
"""Largest body before the peer has shown the token: a hello is under 200 bytes, a stranger gets no larger buffer."""

_HEADER: Final = struct.Struct(">I")

_pack = cast("Callable[[object], bytes]", msgpack.packb)
_unpack = cast("Callable[..., object]", msgpack.unpackb)


def encode(frame: list[Any], max_bytes: int = MAX_FRAME_BYTES) -> bytes:
    """The bytes of a frame, length included.

    Raises:
        InvalidRequest: The frame holds something that msgpack does not carry, or is larger than ``max_bytes``.
    """
    try:
        body = _pack(frame)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidRequest(f"A value cannot travel over a channel ({type(error).__name__}: {error}).") from error
    if len(body) > max_bytes:
        raise InvalidRequest(f"A frame of {len(body)} bytes is over the limit of {max_bytes}; send it in parts.")
    return _HEADER.pack(len(body)) + body


def decode(body: memoryview | bytes) -> list[Any]:
    """The frame in a body without its length; the kind and the request id are checked, the rest is not.

    Raises:
        InvalidRequest: The bytes are not a frame.
    """
    try:
        frame = _unpack(body, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise InvalidRequest(f"Received bytes that are not a frame ({type(error).__name__}).") from error
    match frame:
        case [int(), int(), *_]:
            return cast("list[Any]", frame)
        case _:
            raise InvalidRequest("Received a value that is not a frame.")


class FrameSplitter:
    """Cuts a stream of bytes into frames, however the bytes are split over ``feed`` calls.

    Args:
        max_bytes: Largest body accepted; may be changed between frames.
    """

    def __init__(self, max_bytes: int = MAX_FRAME_BYTES) -> None:
        self.max_bytes = max_bytes
        self._rest = bytearray()
        self._need = _HEADER.size

    def feed(self, data: bytes | bytearray) -> Iterator[list[Any]]:
        """The frames that ``data`` completes. Consume the iterator wholly before feeding more.

        Raises:
            InvalidRequest: A frame is too large or not a frame; nothing after it can be read.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return
            data, self._rest = self._rest, bytearray()
        view, size, start = memoryview(data), len(data), 0
        while size - start >= _HEADER.size:
            end = start + _HEADER.size + self._length(view, start)
            if end > size:
                break
            yield decode(view[start + _HEADER.size : end])
            start = end
        self._keep(view[start:])

    def _length(self, view: memoryview, start: int) -> int:
        length = cast("int", _HEADER.unpack_from(view, start)[0])
        if length > self.max_bytes:
            raise InvalidRequest(f"Received a frame of {length} bytes; the limit is {self.max_bytes}.")
        return length

    def _keep(self, rest: memoryview) -> None:
        self._rest = bytearray(rest)
        self._need = _HEADER.size + (self._length(rest, 0) if len(rest) >= _HEADER.size else 0)
