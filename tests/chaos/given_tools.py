"""The tools of the load: what they do can be counted from outside."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

from actors import tool
from tests.chaos.appending import LINES, appended

PIECES = 20
PIECE_S = 0.02
"""Pieces of a slow tool, and the pause after each: a fault finds it half way."""


@tool(effect="unsafe")
def append_once(path: str, word: str) -> Iterator[str]:
    """Append a line to a file, and say so before the end; a second run would show."""
    yield appended(path, word)


@tool(effect="idempotent")
def append_again(path: str, word: str) -> str:
    """The same where a second run is allowed, with much to tell."""
    return f"{appended(path, word)}\n" * LINES


@tool(effect="idempotent")
def append_slowly(path: str, word: str) -> Generator[str, None, str]:
    """The same piece by piece; a second run begins anew."""
    appended(path, word)
    told = [f"{word} {nth}\n" for nth in range(PIECES)]
    for piece in told:
        yield piece
        time.sleep(PIECE_S)
    return "".join(told)
