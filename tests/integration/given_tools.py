"""Tools that the tests give to a runtime by their import strings."""

from __future__ import annotations

from actors import tool


@tool(effect="pure")
def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()
