"""Tools that tests name by import string."""

from __future__ import annotations

from actors.tools.function import tool


@tool(effect="pure")
def echo(text: str) -> str:
    """Return the text."""
    return text


def undecorated(text: str) -> str:
    """Return the text."""
    return text
