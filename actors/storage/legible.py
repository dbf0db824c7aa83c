"""Many rows at once, of which one may not be readable: that is its session's trouble, and nobody else's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

MAX_TOLD: Final = 1000
"""Journals that the log names: with more of them than that, the store is to be verified."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class Legible:
    """Reads rows that name their ``journal_id``, and leaves out those that cannot be read.

    Args:
        location: What the log calls the store.
    """

    def __init__(self, location: str) -> None:
        self._location = location
        self._told: set[str] = set()

    def of(self, rows: Iterable[Any], read: Callable[[Any], T]) -> Iterator[T]:
        """What can be read of the rows."""
        for row in rows:
            try:
                yield read(row)
            except (ValueError, TypeError, LookupError, AttributeError):
                self._tell(row.journal_id)

    def _tell(self, journal_id: str) -> None:
        """Say so once: supervision looks again and again."""
        if journal_id not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(journal_id)
            log.error("store %s: a row of journal %s cannot be read and is left out", self._location, journal_id)
