"""The attempts a host knows: those not acknowledged as entries, the others by their id for a while."""

from __future__ import annotations

import asyncio
from collections import Counter

from actors.domain.calls import Attached, CallKey, CallStatus
from actors.effect_host.entry import Entry
from actors.effect_host.ports import CallId, Clock, HostLimits
from actors.effect_host.remembered import Remembered
from actors.errors import InvalidRequest, Overloaded


class Register:
    """Entries by (call_id, attempt), bounded; an id is in at most one of the two forms."""

    def __init__(self, limits: HostLimits, clock: Clock) -> None:
        self._limits = limits
        self._remembered = Remembered(clock)
        self._journals: Counter[str] = Counter()
        self.entries: dict[CallId, Entry] = {}

    def __len__(self) -> int:
        return len(self.entries) + len(self._remembered)

    def has_calls(self, journal_id: str) -> bool:
        """Whether a journal has entries."""
        return journal_id in self._journals

    def find(self, key: CallKey, journal_id: str) -> Entry | None:
        """The entry of an attempt; InvalidRequest when it belongs to another journal."""
        entry = self.entries.get(_id(key))
        if entry is not None and entry.journal_id != journal_id:
            raise InvalidRequest("The call belongs to another journal.")
        return entry

    def without_entry(self, key: CallKey) -> Attached:
        """What is known of an attempt that has no entry: ``settled_dropped`` or ``never_seen``."""
        over = _id(key) in self._remembered
        return Attached(key=key, status=CallStatus.settled_dropped if over else CallStatus.never_seen)

    def enter(self, key: CallKey, journal_id: str, tenant: str, epoch: int) -> Entry:
        """Add an entry.

        Raises:
            Overloaded: too many attempts are known.
        """
        self._check_room()
        entry = Entry(key, journal_id, tenant, epoch, asyncio.get_running_loop().create_future())
        self.entries[entry.id] = entry
        self._journals[journal_id] += 1
        return entry

    def forget(self, entry: Entry) -> None:
        """Take an entry out as if it had never been there."""
        if self.entries.pop(entry.id, None) is None:
            return
        self._journals[entry.journal_id] -= 1
        if not self._journals[entry.journal_id]:
            del self._journals[entry.journal_id]

    def release(self, entry: Entry) -> None:
        """Take an entry out and remember its id."""
        self.forget(entry)
        self._remembered.add(entry.id)

    def remember(self, key: CallKey) -> None:
        """Remember an attempt that was never seen, so that it will not begin.

        Raises:
            Overloaded: too many attempts are known.
        """
        if _id(key) not in self._remembered:
            self._check_room()
            self._remembered.add(_id(key))

    def _check_room(self) -> None:
        if len(self) >= self._limits.known or len(self.entries) >= self._limits.unacknowledged:
            raise Overloaded("an effect host remembers too many calls", 10.0)


def _id(key: CallKey) -> CallId:
    return (key.call_id, key.attempt)
