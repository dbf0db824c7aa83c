"""Ids of calls that are over and acknowledged: a late duplicate of their frame must not run them again."""

from __future__ import annotations

import hashlib
from collections import deque

from actors.effect_host.ports import REMEMBER_S, CallId, Clock

_BUCKET_S = 60.0
"""Ids are forgotten by the minute, a whole set at once: no time per id is kept."""


class Remembered:
    """A set whose members leave between 10 and 11 minutes after they came.

    Members are 16-byte digests, so that half a million of them take some 50 MB however long the ids are.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: deque[tuple[float, set[bytes]]] = deque()

    def __len__(self) -> int:
        self._expire()
        return sum(len(members) for _, members in self._buckets)

    def __contains__(self, call: CallId) -> bool:
        self._expire()
        digest = _digest(call)
        return any(digest in members for _, members in self._buckets)

    def add(self, call: CallId) -> None:
        """Remember an id from now on."""
        self._expire()
        now = self._clock()
        if not self._buckets or now - self._buckets[-1][0] >= _BUCKET_S:
            self._buckets.append((now, set()))
        self._buckets[-1][1].add(_digest(call))

    def _expire(self) -> None:
        too_old = self._clock() - REMEMBER_S - _BUCKET_S
        while self._buckets and self._buckets[0][0] <= too_old:
            self._buckets.popleft()


def _digest(call: CallId) -> bytes:
    return hashlib.blake2b(f"{call[1]}:{call[0]}".encode(), digest_size=16).digest()
