"""The end of a command whose reaper cannot bring it about: a command may freeze the process that watches it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from actors.tools.reaper import descendants, status_of

_LOOKS = 200
"""What is killed may have forked a moment before: it is looked for again, each look takes a few milliseconds."""


def wake(reaper: int) -> None:
    """Let a reaper that somebody stopped go on with its work."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(reaper, signal.SIGCONT)


def is_frozen(pid: int) -> bool:
    """Whether somebody stopped that process."""
    status = status_of(str(pid))
    return status is not None and status.state in {b"T", b"t"}


def end_by_force(top: int) -> None:
    """Kill all that is below a reaper, or a command, then itself: what it had left behind would be found by nobody."""
    for _ in range(_LOOKS):
        below = descendants(top)
        if not below:
            break
        for pid in below:
            _kill(pid)
    _kill(top)


def end_unguarded(leader: int) -> None:
    """Kill a command whose reaper somebody has killed: all below its first process, that process, and its group.

    What has left both, as a process that was orphaned in a session of its own, goes on: nobody adopts it.
    """
    end_by_force(leader)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
