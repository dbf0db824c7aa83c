"""What a tool host that died has left running: its reapers and their commands, found by a mark in the environment.

A reaper ends its command when its host's pipe closes; until that is done, nobody may run the call again. One that was
frozen is ended by force, with all that it watches.
"""

from __future__ import annotations

import socket
from pathlib import Path

from actors.tools.by_force import end_by_force, is_frozen
from actors.tools.reaper import status_of

HOST_MARK = "TOOL_HOST_ID"
"""Variable that every process under a tool host's reaper carries; its value is the host's id."""


def leftovers_of(host_id: str) -> tuple[int, ...]:
    """Process ids on this node that carry a host's mark.

    Processes that end meanwhile, or belong to somebody else, are passed over.
    """
    mark = f"{HOST_MARK}={host_id}".encode()
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in variables:
            found.append(int(entry.name))
    return tuple(found)


def anything_left(host_id: str) -> bool:
    """Whether a host, or anything that it started, still runs on this node. What nobody can end any more is ended."""
    if lives(host_id):
        return True
    left = leftovers_of(host_id)
    for pid in left:
        # A reaper is a child of none of them; what is below it is not its equal.
        if is_frozen(pid) and not _watched(pid, left):
            end_by_force(pid)
    return bool(left)


def _watched(pid: int, left: tuple[int, ...]) -> bool:
    status = status_of(str(pid))
    return status is not None and status.parent in left


def claim_life(host_id: str) -> socket.socket:
    """Hold a host's name for as long as this process lives: the kernel lets go of it, nobody else can.

    A host that is frozen has left nothing, and is not dead: Ray's order to kill it takes seconds to reach it.
    """
    life = socket.socket(socket.AF_UNIX)
    life.bind(_life_of(host_id))
    return life


def lives(host_id: str) -> bool:
    """Whether a process on this node holds a host's name."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(_life_of(host_id))
        except OSError:
            return True
    return False


def _life_of(host_id: str) -> str:
    """An abstract socket address: it has no file that could outlive the process."""
    return f"\0greenroom/{host_id}"
