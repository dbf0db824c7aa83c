"""Which TCP ports a set of processes listens on, read from ``/proc`` as ``ss -ltnp`` does."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

RAY_PROCESSES = ("gcs_server", "raylet", "dashboard", "Dashboard", "log_monitor", "untime", "monitor.py", "agent")
"""Ray's own processes; what they open is documented, and guarded by Ray's token."""

_LISTEN = "0A"
_LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, ::1, and 127.0.0.1 as an IPv6 address."""


class Port(NamedTuple):
    """A listening port. ``process``: pid and title; ``of_ray``: one of Ray's own processes has it."""

    process: str
    number: int
    loopback: bool
    of_ray: bool


def _sockets() -> dict[str, tuple[int, bool]]:
    """By inode: port, and whether it is on loopback."""
    found: dict[str, tuple[int, bool]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            host, port = fields[1].split(":")
            if fields[3] == _LISTEN:
                found[fields[9]] = (int(port, 16), host in _LOOPBACK)
    return found


def _inodes(pid: int) -> set[str]:
    found: set[str] = set()
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def listening(pids: Iterable[int]) -> list[Port]:
    """The ports of these processes."""
    sockets = _sockets()
    found: list[Port] = []
    for pid in pids:
        with suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            of_ray = any(name in title for name in RAY_PROCESSES)
            found += [Port(f"{pid} {title[:120]}", *sockets[inode], of_ray) for inode in _inodes(pid) & sockets.keys()]
    return found
