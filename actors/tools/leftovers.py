"""What a tool host that died has left running: its reapers and their commands, found by a mark in the environment.

A reaper ends its command when its host's pipe closes; until that is done, nobody may run the call again.
"""

from __future__ import annotations

from pathlib import Path

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
