"""The tools of the load: what they do can be counted from outside."""

from __future__ import annotations

import os
from collections.abc import Iterator

from actors import tool


def appended(path: str, word: str) -> str:
    """Add a line that is on the disk when it returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{word}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return word


@tool(effect="unsafe")
def append_once(path: str, word: str) -> Iterator[str]:
    """Append a line to a file, and say so before the end; a second run would show."""
    yield appended(path, word)


@tool(effect="idempotent")
def append_again(path: str, word: str) -> str:
    """The same where a second run is allowed, with much to tell."""
    return f"{appended(path, word)}\n" * 10_000
