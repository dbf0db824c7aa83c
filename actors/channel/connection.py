"""The boundary between an asyncio transport and frames: what both ends of a channel share.

It splits what arrives, gathers what is sent in one iteration of the loop into one write, tells senders to wait when
the peer does not read, and declares the connection lost when the peer is silent. Above sit ``server.py`` and
``client.py``; below are ``frames.py`` and the transport.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import dataclass
from typing import Any, Final, cast

from actors.channel import frames
from actors.errors import GreenroomError, InvalidRequest, to_wire

HEARTBEAT_S: Final = 5.0
"""Seconds between two looks at a quiet connection. A ping is 7 bytes; a local death shows as a closed socket at once,
so the heartbeat is only for frozen processes and cut networks."""

LOST_AFTER_S: Final = 15.0
"""Seconds of silence after which a peer counts as lost: three pings, longer than the pauses of a busy event loop and
about the time in which Ray itself finds a dead node."""

WRITE_BUFFER_BYTES: Final = 1024 * 1024
"""Bytes the transport holds before senders wait: some milliseconds of a Unix socket, and small beside a frame."""

FLUSH_BYTES: Final = 256 * 1024
"""Bytes gathered before they go to the transport within the same iteration, so that its limit is noticed in time."""

CLOSE_GRACE_S: Final = 1.0
"""Seconds a refused peer gets to read why; one that does not read is cut off."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """When to ask a silent peer for a sign of life, and when to give it up; seconds."""

    interval_s: float = HEARTBEAT_S
    lost_after_s: float = LOST_AFTER_S

    @property
    def misses(self) -> int:
        """Quiet intervals after which the peer is lost.

        Counting intervals, not time, spares peers when it was this process that stood still: then one interval has
        passed, and the peer's frames are waiting to be read.
        """
        return max(1, round(self.lost_after_s / self.interval_s))


class Connection(asyncio.Protocol):
    """One end of a channel. Subclasses handle frames in ``on_frame`` and the end in ``on_lost``."""

    def __init__(self, heartbeat: Heartbeat, max_frame_bytes: int) -> None:
        self.closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._heartbeat = heartbeat
        self._splitter = frames.FrameSplitter(max_frame_bytes)
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._gathering = False
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._heard = True
        self._silent = 0
        self._stalled = 0
        self._unsent = 0
        self._ending = False
        self._beat_timer: asyncio.TimerHandle | None = None
        self._timers: list[asyncio.TimerHandle] = []

    # --- for subclasses ------------------------------------------------------------------------------------------

    def on_frame(self, frame: list[Any]) -> None:
        """Handle a frame other than ping and pong; raise InvalidRequest to refuse the peer."""
        raise NotImplementedError

    def on_lost(self) -> None:
        """The connection is over; called once."""
        raise NotImplementedError

    def on_stall(self, stalled: bool) -> None:
        """The peer has stopped (or resumed) reading."""

    # --- sending -------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send encoded frames; dropped when the connection is over.

        The first of an iteration of the loop goes out at once, for the sake of a lone call; those that follow are
        gathered into one write.
        """
        if self._ending or self._transport is None:
            return
        if not self._gathering:
            self._gathering = True
            self._loop.call_soon(self._end_gathering)
            self._transport.write(data)
            return
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes >= FLUSH_BYTES:
            self._flush()

    @property
    def writable(self) -> bool:
        """Whether senders need not wait for the peer to read."""
        return self._may_write.is_set()

    async def wait_writable(self) -> None:
        """Return when the peer has read enough, or the connection is over."""
        while not self._may_write.is_set():
            await self._may_write.wait()

    def refuse(self, error: GreenroomError) -> None:
        """Tell the peer why, then close."""
        if self._ending or self._transport is None:
            return
        logger.warning("closing a channel: %s", error)
        self.write(frames.encode([frames.ERROR, 0, to_wire(error)]))
        self._flush()
        self._ending = True
        self._transport.close()
        self._timers.append(self._loop.call_later(CLOSE_GRACE_S, self._transport.abort))

    def abort(self) -> None:
        """Drop the connection and what was not sent yet."""
        self._ending = True
        self._out.clear()
        if self._transport is not None:
            self._transport.abort()

    def _end_gathering(self) -> None:
        self._gathering = False
        self._flush()

    def _flush(self) -> None:
        if self._out and self._transport is not None:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._out_bytes = 0
            self._transport.write(data)

    # --- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the heartbeat."""
        self._transport = cast("asyncio.Transport", transport)
        if self._ending:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._beat_timer = self._loop.call_later(self._heartbeat.interval_s, self._beat)

    def data_received(self, data: bytes) -> None:
        """Handle each frame that is complete; refuse a peer that breaks the protocol."""
        self._heard = True
        try:
            for frame in self._splitter.feed(data):
                if self._ending:
                    return
                kind = frame[0]
                if kind == frames.PING:
                    self.write(_PONG)
                elif kind != frames.PONG:
                    self.on_frame(frame)
        except InvalidRequest as error:
            self.refuse(error)

    def pause_writing(self) -> None:
        """The transport's buffer is full: senders wait from now on."""
        self._may_write.clear()
        self._stalled, self._unsent = 0, sys.maxsize
        self.on_stall(stalled=True)

    def resume_writing(self) -> None:
        """The peer has read: senders go on."""
        self._may_write.set()
        self.on_stall(stalled=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """End everything that depends on this connection."""
        del exc
        self._ending = True
        self._out.clear()
        for timer in (self._beat_timer, *self._timers):
            if timer is not None:
                timer.cancel()
        self.closed.set()
        self._may_write.set()
        self.on_lost()

    # --- heartbeat -----------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        self._count_silence()
        if max(self._silent, self._stalled) >= self._heartbeat.misses:
            logger.info("a channel's peer is silent; the connection is given up")
            self.abort()
            return
        if self._silent and self.writable:
            self.write(_PING)
        self._heard = False
        self._beat_timer = self._loop.call_later(self._heartbeat.interval_s, self._beat)

    def _count_silence(self) -> None:
        """A peer that reads nothing is as lost as one that says nothing; progress in either direction clears it."""
        self._silent = 0 if self._heard or not self.writable else self._silent + 1
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        self._stalled = 0 if self.writable or unsent < self._unsent else self._stalled + 1
        self._unsent = unsent


_PING: Final = frames.encode([frames.PING, 0])
_PONG: Final = frames.encode([frames.PONG, 0])
