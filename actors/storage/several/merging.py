"""One answer from those of several stores. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TypeVar

from actors.domain.usage import Spent, SpentOn
from actors.storage.rules import cursor

T = TypeVar("T")
Place = tuple[int, str]
Found = tuple[tuple[T, ...], str | None]
"""A page of one store, and its cursor."""


def merged(pages: Sequence[Found[T]], place: Callable[[T], Place], limit: int, *, newest: bool) -> Found[T]:
    """The page of all stores together, and its cursor.

    A cursor is the place of an entry in the order that all stores have in common, so that it is one for each of them.

    Args:
        pages: Each behind the same place, and of ``limit`` entries unless the store has fewer.
        place: Time in microseconds and id of an entry.
        limit: Most entries of the page.
        newest: Whether the order is descending.
    """
    entries = sorted((one for page, _ in pages for one in page), key=place, reverse=newest)
    page = tuple(entries[:limit])
    is_more = len(entries) > limit or any(more is not None for _, more in pages)
    return page, cursor(*place(page[-1])) if page and is_more else None


def added(parts: Sequence[Sequence[SpentOn]]) -> tuple[SpentOn, ...]:
    """What was spent in all stores, by day and model."""
    spent: dict[tuple[date, str], Spent] = {}
    for row in (row for part in parts for row in part):
        key = (row.day, row.model)
        spent[key] = spent.get(key, Spent()) + row.spent
    return tuple(SpentOn(day=day, model=model, spent=spent[day, model]) for day, model in sorted(spent))
