"""Boundary between the tests and the machine's processes: who descends from this one, and who is still there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def _children(pid: int | str) -> set[int]:
    found: set[int] = set()
    with suppress(OSError):  # It ends while it is looked at.
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found |= {int(child) for child in (task / "children").read_text().split()}
    return found


def descendants(pid: int | str = "self") -> set[int]:
    """Every process below one."""
    found: set[int] = set()
    fresh = _children(pid)
    while fresh:
        found |= fresh
        fresh = set[int]().union(*(_children(one) for one in fresh)) - found
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def none_left(pids: Iterable[int], within_s: float) -> list[str]:
    """Command lines of those that still run after so many seconds; empty as soon as none does."""
    deadline = time.monotonic() + within_s
    left = [pid for pid in pids if alive(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [pid for pid in left if alive(pid)]
    return [_command(pid) for pid in left]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()[:200]
    except OSError:
        return ""
