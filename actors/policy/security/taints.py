"""Recognises what was withheld once wherever it comes back, without keeping it: only digests under a key are kept.

A value is known by the digest of its first characters, for which every word of a text is tried, and by that of all of
it. The key is the store's; whoever sees the digests without it cannot try out what they may be of.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from typing import Final

from actors.domain.secret_rules import mark
from actors.domain.security import Secret, Taint, Tainted
from actors.policy.security.redaction import Found

HEAD: Final = 8
"""Characters that are tried; shorter values are words that stand everywhere, and are not remembered."""

MAX_VALUE: Final = 8192
"""Longer values are not remembered: a stream would have to hold back as much."""

_BEGINNINGS: Final = re.compile(r"(?<![A-Za-z0-9])(?=\S)|(?=[^A-Za-z0-9\s])")
_PERSONAL: Final = frozenset(kind.value for kind in Secret if kind.personal)


def key_of(secret: str, tenant: str) -> str:
    """The key of a tenant's digests."""
    return blake2b(tenant.encode(), key=bytes.fromhex(secret), digest_size=32).hexdigest()


def taint_of(key: str, label: str, value: str, *, personal: bool = False) -> Taint | None:
    """What is kept of a value; None when it is too short or too long to be known by."""
    if not HEAD <= len(value) <= MAX_VALUE or value != value.strip():
        return None
    raw = bytes.fromhex(key)
    head, digest = _digest(raw, value[:HEAD]), _digest(raw, value)
    personal = personal or label in _PERSONAL
    return Taint(label=label, head=head, length=len(value), digest=digest, personal=personal)


def _digest(key: bytes, text: str) -> str:
    return blake2b(text.encode(errors="replace"), key=key, digest_size=16).hexdigest()


class Taints:
    """A ``Finder`` for what is known by its digests.

    Args:
        secret: Of these only those that open a door.
    """

    def __init__(self, tainted: Tainted, *, secret: bool = False) -> None:
        self._key = bytes.fromhex(tainted.key)
        self._by_head: dict[str, list[Taint]] = {}
        for one in sorted(tainted.taints, key=lambda taint: -taint.length):
            if not (secret and one.personal):
                self._by_head.setdefault(one.head, []).append(one)

    def __bool__(self) -> bool:
        return bool(self._by_head)

    def find(self, text: str, start: int) -> Found | None:
        """See ``Finder.find``."""
        for place, taints in self._begun(text, start):
            for one in taints:
                end = place + one.length
                if end <= len(text) and _digest(self._key, text[place:end]) == one.digest:
                    return Found(place, end, one.label, mark(one.label))
        return None

    def undecided(self, text: str, start: int) -> int | None:
        """See ``Finder.undecided``."""
        for place, taints in self._begun(text, start):
            if any(place + one.length > len(text) for one in taints):
                return place
        tail = _BEGINNINGS.search(text, max(start, len(text) - HEAD + 1))
        return tail.start() if tail is not None and tail.start() < len(text) else None

    def _begun(self, text: str, start: int) -> Iterator[tuple[int, list[Taint]]]:
        for match in _BEGINNINGS.finditer(text, start):
            place = match.start()
            if place + HEAD > len(text):
                return
            found = self._by_head.get(_digest(self._key, text[place : place + HEAD]))
            if found is not None:
                yield place, found


def taints_of(tainted: Tainted, values: Mapping[str, str], personal: Collection[str]) -> tuple[Taint, ...]:
    """What is kept of these values, by label, but for what is known already; at most ``MAX_NEW``.

    Args:
        personal: Those of them that tell of persons, whatever their label.
    """
    there = {one.digest for one in tainted.taints}
    made = (taint_of(tainted.key, label, value, personal=value in personal) for value, label in values.items())
    return tuple(one for one in made if one is not None and one.digest not in there)[:MAX_NEW]


MAX_NEW: Final = 32
"""Values that one record tells of."""
