"""Readers of running calls: long polls and subscriptions over the pieces that calls put out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager

from actors.domain.calls import CallKey, CallStatus
from actors.effect_host.entry import MAX_DELTA_CHARS
from actors.effect_host.ports import MAX_KEYS, MAX_WAIT_S, CallId, DeltaPage
from actors.effect_host.register import Register
from actors.errors import InvalidRequest, Overloaded

MAX_PAGE_CHARS = MAX_DELTA_CHARS
"""Characters of one answer over all its calls; the rest comes with the next poll. No single piece is longer."""

Cursor = tuple[CallKey, int]


async def _rung(event: asyncio.Event, within_s: float | None) -> bool:
    """Whether it was set in time."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Readers:
    """Waits for pieces of the entries in the register; ``wake`` has to be called whenever one changes."""

    def __init__(self, register: Register, limit: int) -> None:
        self._register = register
        self._limit = limit
        self._waiting: dict[CallId, set[asyncio.Event]] = {}
        self._count = 0
        self._closed = False

    def __len__(self) -> int:
        return self._count

    def wake(self, call: CallId) -> None:
        """Something new is to be read of a call."""
        for event in self._waiting.get(call, ()):
            event.set()

    def close(self) -> None:
        """Answer every poll, now and later, at once."""
        self._closed = True
        for call in self._waiting:
            self.wake(call)

    async def poll(self, cursors: Sequence[Cursor], wait_s: float) -> list[DeltaPage]:
        """Pages in the order of ``cursors``, as soon as one has news, or after ``wait_s``."""
        if len(cursors) > MAX_KEYS:
            raise InvalidRequest(f"A poll names at most {MAX_KEYS} calls.")
        pages = self._pages(cursors)
        if wait_s <= 0 or self._closed or any(page.news for page in pages):
            return pages
        with self._watching({(key.call_id, key.attempt) for key, _ in cursors}) as event:
            try:
                async with asyncio.timeout(min(wait_s, MAX_WAIT_S)):
                    while not self._closed and not any(page.news for page in pages):
                        await event.wait()
                        event.clear()
                        pages = self._pages(cursors)
            except TimeoutError:
                pages = self._pages(cursors)
        return pages

    async def watch(self, key: CallKey, cursor: int) -> AsyncGenerator[DeltaPage]:
        """Pages of one call until it has ended, or did not appear in time.

        It waits at the call for as long as it is read: registering anew for each piece would cost more than the piece.
        """
        with self._watching({(key.call_id, key.attempt)}) as event:
            late = False
            while True:
                event.clear()
                page = self._page(key, max(cursor, 0), MAX_PAGE_CHARS)
                unseen = page.status is CallStatus.never_seen
                last = page.ended or self._closed or (unseen and late)
                if page.news or last:
                    yield page
                if last:
                    return
                cursor = page.cursor
                if not page.news:
                    late = not await _rung(event, MAX_WAIT_S if unseen else None)

    @contextmanager
    def _watching(self, calls: set[CallId]) -> Generator[asyncio.Event, None, None]:
        if self._count >= self._limit:
            raise Overloaded("too many readers wait at an effect host")
        event = asyncio.Event()
        self._count += 1
        for call in calls:
            self._waiting.setdefault(call, set()).add(event)
        try:
            yield event
        finally:
            self._count -= 1
            for call in calls:
                self._waiting[call].discard(event)
                if not self._waiting[call]:
                    del self._waiting[call]

    def _pages(self, cursors: Sequence[Cursor]) -> list[DeltaPage]:
        room = MAX_PAGE_CHARS
        pages: list[DeltaPage] = []
        for key, cursor in cursors:
            page = self._page(key, max(cursor, 0), room)
            room -= sum(len(delta.text) for delta in page.deltas)
            pages.append(page)
        return pages

    def _page(self, key: CallKey, cursor: int, room: int) -> DeltaPage:
        entry = self._register.entries.get((key.call_id, key.attempt))
        if entry is None:
            return DeltaPage(key=key, cursor=cursor, status=self._register.without_entry(key).status)
        deltas = entry.deltas.read(cursor, room)
        start = deltas[0].index if deltas else cursor
        following = deltas[-1].index + 1 if deltas else cursor
        return DeltaPage(
            key=key,
            deltas=deltas,
            cursor=following,
            missed=start - cursor,
            more=following < entry.deltas.end and entry.deltas.end > entry.deltas.start,
            status=entry.status,
        )
