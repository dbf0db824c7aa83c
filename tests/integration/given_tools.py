"""Tools that the tests give to a runtime: by their import strings, or as they are."""

from __future__ import annotations

from actors import tool


@tool(effect="pure")
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@tool(effect="pure")
async def count(word: str) -> int:
    """Count the letters."""
    return len(word)
