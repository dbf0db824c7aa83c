"""Lists of a server, page by page: bounded in number and in pages, and begun anew when they change under the reader."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from actors.domain.mcp_library import MAX_CURSOR_CHARS

MAX_PAGES: Final = 64
"""Pages of one reading: a server that never ends its list is cut short."""

MAX_BEGINNINGS: Final = 3
"""How often a list is read from its beginning, when the server does not know its own cursor any more."""

_INVALID_PARAMS: Final = -32602

T = TypeVar("T")


class Gathered(NamedTuple, Generic[T]):
    """What was read of a list. ``next``: where it goes on; ``left_out``: how many of the last page do not fit."""

    items: list[T]
    next: str | None
    left_out: int


async def gathered(
    page: Callable[[str | None], Awaitable[Any]],
    items: Callable[[Any], Sequence[T]],
    most: int,
    after: str | None = None,
) -> Gathered[T]:
    """Read a list up to ``most`` items.

    Args:
        page: Asks for the page at a cursor.
        items: Those of a page.
        after: Where to begin; None at the beginning.

    Raises:
        MCPError: as the SDK has it.
    """
    from mcp import MCPError

    for beginning in range(1, MAX_BEGINNINGS + 1):
        try:
            return await _once(page, items, most, after)
        except MCPError as exc:
            if exc.code != _INVALID_PARAMS or after is not None or beginning == MAX_BEGINNINGS:
                raise
    raise AssertionError("a loop over at least one beginning ends inside")


async def _once(
    page: Callable[[str | None], Awaitable[Any]], items: Callable[[Any], Sequence[T]], most: int, after: str | None
) -> Gathered[T]:
    found: list[T] = []
    cursor, seen = after, {after}
    for _ in range(MAX_PAGES):
        came = await page(cursor)
        room = most - len(found)
        taken = items(came)
        found += taken[:room]
        cursor = came.next_cursor
        if cursor in seen or (cursor is not None and len(cursor) > MAX_CURSOR_CHARS):
            # It would go in a circle, or asks to be remembered at too great a length.
            cursor = None
        seen.add(cursor)
        if cursor is None or len(found) >= most:
            return Gathered(found, cursor, len(taken) - min(room, len(taken)))
    return Gathered(found, cursor, 0)
