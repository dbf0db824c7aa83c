"""The boundary between commits and those who wait for them: readers of a journal, and the registry.

Above is ``service``, which announces each commit; nothing here reads the store. Everything is bounded: readers in
number, what waits for a slow one in bytes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from actors.domain.journal import StoredRecord
from actors.domain.session import SessionInfo, SessionState
from actors.errors import GreenroomError, Overloaded, SessionNotFound, StoreUnavailable
from actors.storage.rules import heirs_of

MAX_READERS: Final = 10_000
"""Waits and followers at a time: some 2 KB each; a replica that needs more is one of many."""

_FEED_RECORDS: Final = 256
_FEED_BYTES: Final = 1024 * 1024
"""What may wait for one follower; one that is further behind reads from the store again, in its own time."""

_HINTS: Final = 10_000
"""Journals whose last hint is remembered, and hints that may wait for one subscriber. One that is lost costs time, not
work: the registry also looks by itself."""

Key = tuple[str, str]
"""Tenant and journal id."""


class Subscription:
    """What one reader has not seen yet of a journal.

    Args:
        outages: Whether the reader wants to know of records that could not be written.
    """

    def __init__(self, *, outages: bool) -> None:
        self.outages = outages
        self._feed: list[StoredRecord] = []
        self._bytes = 0
        self._lagging = False
        self._over: GreenroomError | None = None
        self._news = asyncio.Event()

    def push(self, records: tuple[StoredRecord, ...]) -> None:
        """Committed records; dropped when too many wait, which the reader finds out by their numbers."""
        self._bytes += sum(len(record.body) for record in records)
        if len(self._feed) + len(records) > _FEED_RECORDS or self._bytes > _FEED_BYTES:
            self._clear()
            self._lagging = True
        else:
            self._feed += records
        self._news.set()

    def end(self, error: GreenroomError) -> None:
        """Nothing more will come."""
        self._over = error
        self._news.set()

    async def next(self, after: int) -> tuple[StoredRecord, ...]:
        """The records that follow ``after``, as soon as there are some; empty when some are missing before them.

        Raises:
            SessionNotFound: The journal was destroyed.
            StoreUnavailable: The store was closed, or could not write a record of the journal.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            if self._over is not None:
                raise self._over
            fresh = tuple(record for record in self._feed if record.seq > after)
            complete = not self._lagging and (not fresh or fresh[0].seq == after + 1)
            self._clear()
            self._lagging = False
            if not complete:
                return ()
            if fresh:
                return fresh

    def _clear(self) -> None:
        self._feed.clear()
        self._bytes = 0


class Watchers:
    """The readers of all journals.

    Args:
        limit: How many there may be.
    """

    def __init__(self, limit: int = MAX_READERS) -> None:
        self._limit = limit
        self._count = 0
        self._of: dict[Key, set[Subscription]] = {}

    @property
    def count(self) -> int:
        """Readers that wait."""
        return self._count

    @contextmanager
    def subscribed(self, key: Key, *, outages: bool = False) -> Generator[Subscription]:
        """A subscription from now on.

        Args:
            key: The journal.
            outages: Whether it ends when a record of the journal cannot be written.

        Raises:
            Overloaded: There are too many.
        """
        if self._count >= self._limit:
            raise Overloaded("readers that wait for records")
        subscription = Subscription(outages=outages)
        self._count += 1
        self._of.setdefault(key, set()).add(subscription)
        try:
            yield subscription
        finally:
            self._count -= 1
            others = self._of.get(key)
            if others is not None:
                others.discard(subscription)
                if not others:
                    del self._of[key]

    def committed(self, key: Key, records: tuple[StoredRecord, ...]) -> None:
        """Tell the journal's readers of new records."""
        for subscription in self._of.get(key, ()):
            subscription.push(records)

    def failed(self, key: Key, error: StoreUnavailable) -> None:
        """Tell the journal's readers that something of it could not be written."""
        for subscription in self._of.get(key, ()):
            if subscription.outages:
                subscription.end(error)

    def destroyed(self, key: Key) -> None:
        """Tell the journal's readers that it is no more."""
        for subscription in self._of.get(key, ()):
            subscription.end(SessionNotFound(key[1]))

    def close(self) -> None:
        """Tell all readers that the store is closed."""
        for subscription in [one for readers in self._of.values() for one in readers]:
            subscription.end(StoreUnavailable("it is being closed"))


@dataclass(frozen=True, slots=True)
class Hint:
    """What a commit may mean for the registry.

    Attributes:
        needs_actor: The session has work to do now.
        wake_at: Its nearest timer, while it is active.
        mail: Journals of the sessions for which it left messages in this commit.
    """

    tenant: str
    journal_id: str
    needs_actor: bool
    wake_at: datetime | None = None
    mail: tuple[str, ...] = ()


class HintFeed:
    """Hints that one subscriber has not taken yet: at most one per journal, the newest."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Key, Hint] = OrderedDict()
        self._news = asyncio.Event()

    def push(self, hint: Hint) -> None:
        """Add a hint; the oldest is dropped when too many wait."""
        key = (hint.tenant, hint.journal_id)
        before = self._waiting.pop(key, None)
        mail = tuple(dict.fromkeys((*before.mail, *hint.mail))) if before is not None else hint.mail
        self._waiting[key] = Hint(hint.tenant, hint.journal_id, hint.needs_actor, hint.wake_at, mail)
        if len(self._waiting) > _HINTS:
            self._waiting.popitem(last=False)
        self._news.set()

    async def next(self) -> tuple[Hint, ...]:
        """All that wait, oldest first, as soon as there is one."""
        await self._news.wait()
        self._news.clear()
        hints = tuple(self._waiting.values())
        self._waiting.clear()
        return hints


class Hints:
    """Tells subscribers what changes for the registry, and only what changes."""

    def __init__(self) -> None:
        self._feeds: set[HintFeed] = set()
        self._last: OrderedDict[Key, tuple[bool, datetime | None]] = OrderedDict()

    @contextmanager
    def subscribed(self) -> Generator[HintFeed]:
        """A feed of hints from now on."""
        feed = HintFeed()
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    def committed(self, row: SessionInfo, *, mail: tuple[str, ...] = ()) -> None:
        """Look at a row that was just committed."""
        key = (row.tenant, row.journal_id)
        standing = (row.needs_actor, row.wake_at if row.state is SessionState.active else None)
        changed = self._last.pop(key, (False, None)) != standing
        self._last[key] = standing
        if len(self._last) > _HINTS:
            self._last.popitem(last=False)
        if changed or mail:
            self._push(Hint(row.tenant, row.journal_id, *standing, mail))

    def destroyed(self, row: SessionInfo) -> None:
        """A session is no more. What it owed its parent waits for that; what it was lent, for one of those above it."""
        self._last.pop((row.tenant, row.journal_id), None)
        mail = dict.fromkeys(heirs_of(row))
        if row.task is not None and row.parent_journal_id is not None:
            mail[row.parent_journal_id] = None
        if mail:
            self._push(Hint(row.tenant, row.journal_id, False, None, tuple(mail)))

    def _push(self, hint: Hint) -> None:
        for feed in self._feeds:
            feed.push(hint)
