"""Boundary between the tests and the kernel's table of TCP sockets: who listens, and who is connected to whom."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import NamedTuple

_LISTEN, _ESTABLISHED = "0A", "01"


class End(NamedTuple):
    """One end of a connection."""

    host: str
    port: int


def listening(pid: int) -> set[End]:
    """Where a process listens."""
    return {local for state, local, _ in _sockets(pid) if state == _LISTEN}


def connected(pid: int) -> set[End]:
    """What a process is connected to."""
    return {remote for state, _, remote in _sockets(pid) if state == _ESTABLISHED}


def _sockets(pid: int) -> list[tuple[str, End, End]]:
    own = {f"socket:[{row[9]}]": (row[3], _end(row[1]), _end(row[2])) for row in _rows(pid)}
    return [own[name] for name in _open_files(pid) if name in own]


def _rows(pid: int) -> list[list[str]]:
    return [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]


def _open_files(pid: int) -> set[str]:
    found: set[str] = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(entry.readlink()))
        except OSError:
            continue
    return found


def _end(text: str) -> End:
    host, _, port = text.partition(":")
    return End(socket.inet_ntoa(struct.pack("<I", int(host, 16))), int(port, 16))
