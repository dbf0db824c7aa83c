"""The boundary between frames of a stream and the one task that reads it, with credit for the items it has read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from actors.errors import GreenroomError, InvalidRequest

STREAM_WINDOW: Final = 64
"""Items of a stream that may be on their way or unread at a time: enough for full speed, as the window is topped up at
half, and few enough that a reader that stalls keeps little."""


class ChannelStream(AsyncIterator[Any]):
    """The items of one streaming call. Closing or dropping it cancels the handler; one reader at a time."""

    def __init__(self, start: Callable[[], Awaitable[Inbox]]) -> None:
        self._start = start
        self._inbox: Inbox | None = None
        self._over = False

    async def __anext__(self) -> Any:
        """The next item; what arrived before a failure is delivered before it is raised."""
        if self._inbox is None and not self._over:
            inbox = await self._start()
            if self._over or self._inbox is not None:
                inbox.cancel()
            else:
                self._inbox = inbox
        if self._over or self._inbox is None:
            raise StopAsyncIteration
        try:
            return await self._inbox.take()
        except (GreenroomError, StopAsyncIteration):
            self._over = True
            raise

    async def aclose(self) -> None:
        """End the stream; a reader that waits for an item gets the end."""
        self._over = True
        if self._inbox is not None:
            self._inbox.cancel()

    def __del__(self) -> None:
        if self._inbox is not None and not self._over:
            self._inbox.cancel_from_anywhere()


class Inbox:
    """Items of one stream that have arrived and were not read.

    Args:
        window: Items the server was given credit for with the request.
        grant: Sends credit for that many items more.
        cancel: Tells the server to stop.
    """

    def __init__(self, window: int, grant: Callable[[int], None], cancel: Callable[[], None]) -> None:
        self._window = window
        self._grant = grant
        self._cancel = cancel
        self._loop = asyncio.get_running_loop()
        self._credit = window
        self._read = 0
        self._items: deque[object] = deque()
        self._end: GreenroomError | StopAsyncIteration | None = None
        self._arrival: asyncio.Future[None] | None = None

    def put(self, item: object) -> None:
        """Take an item from the connection.

        Raises:
            InvalidRequest: There was no credit for it.
        """
        self._credit -= 1
        if self._credit < 0:
            raise InvalidRequest("Received more items of a stream than there was credit for.")
        self._items.append(item)
        self._wake()

    def end(self, reason: GreenroomError | StopAsyncIteration) -> None:
        """No more items will arrive."""
        if self._end is None:
            self._end = reason
            self._wake()

    async def take(self) -> object:
        """The next item; raises the reason of the end after the last one."""
        if self._arrival is not None:
            raise RuntimeError("another task is reading this stream")
        while not self._items:
            if self._end is not None:
                raise self._end
            self._arrival = self._loop.create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        self._top_up()
        return self._items.popleft()

    def cancel(self) -> None:
        """Drop what was not read, and stop the server unless it has ended."""
        self._items.clear()
        if self._end is None:
            self.end(StopAsyncIteration())
            self._cancel()

    def cancel_from_anywhere(self) -> None:
        """As ``cancel``; the garbage collector may run in any thread and after the loop has ended."""
        if self._end is None:
            with suppress(RuntimeError):  # The loop is closed, and the connection with it.
                self._loop.call_soon_threadsafe(self.cancel)

    def _top_up(self) -> None:
        self._read += 1
        if self._end is None and self._read * 2 >= self._window:
            self._grant(self._read)
            self._credit += self._read
            self._read = 0

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
