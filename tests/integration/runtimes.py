"""What the fixtures of this directory hand out, by name: how tests make runtimes and session ids."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from actors import SessionManager

MODEL = "scripted/prompt"
"""Does what the prompt says."""

NewId = Callable[[], str]
"""Makes session ids that no other test uses."""


class MakeRuntime(Protocol):
    """Starts a runtime of its own for one test; it is closed at the end. ``settings`` are those of ``Settings``."""

    async def __call__(
        self,
        *,
        llm: Any = MODEL,
        directory: Path | None = None,
        store: str | None = None,
        tools: tuple[Any, ...] = (),
        **settings: Any,
    ) -> SessionManager:
        """Start it on the store that a URL names, or on SQLite in a directory."""
        ...


def runtime_name() -> str:
    """A name that no other runtime of the machine has."""
    return f"it-{secrets.token_hex(4)}"
