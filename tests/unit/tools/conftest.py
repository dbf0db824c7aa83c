"""What the tests of tools share: a workspace, contexts and calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.domain.calls import HostRef, ToolCall
from actors.tools.base import ToolContext


def _ignore(text: str) -> None:
    del text


MakeContext = Callable[..., ToolContext]
MakeCall = Callable[..., ToolCall]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def context(workspace: Path) -> MakeContext:
    def make(**changes: Any) -> ToolContext:
        values: dict[str, Any] = {
            "call_id": "j:1:2",
            "tenant": "default",
            "session_id": "s",
            "workspace": workspace,
            "emit": _ignore,
            "timeout_s": 30.0,
        }
        return ToolContext(**(values | changes))

    return make


@pytest.fixture
def make_call() -> MakeCall:
    def make(name: str, args: dict[str, Any] | None = None, **changes: Any) -> ToolCall:
        values: dict[str, Any] = {
            "call_id": "j:1:2",
            "tenant": "default",
            "journal_id": "j",
            "session_id": "s",
            "turn_id": "t",
            "epoch": 1,
            "host": HostRef(host_id="h", incarnation="i"),
            "tool_use_id": "u",
            "name": name,
            "args": args or {},
            "timeout_s": 30.0,
        }
        return ToolCall(**(values | changes))

    return make
