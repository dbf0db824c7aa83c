"""The boundary between a runtime's Unix sockets and processes that were killed: what those left is removed.

A server that ends in good order removes its own socket.
"""

from __future__ import annotations

import errno
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.channel.addresses import socket_directory

SETTLED_S: Final = 60.0
"""Age in seconds from which a socket that refuses is abandoned: a new one refuses for the moment before it listens."""


def remove_sockets(runtime: str) -> None:
    """Remove the sockets of a runtime that is over, with their directory."""
    shutil.rmtree(socket_directory(runtime), ignore_errors=True)


def sweep_sockets(directory: Path) -> None:
    """Remove the sockets of servers that are no more; those that somebody serves, or may be about to, stay."""
    for path in directory.glob("*.sock"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > SETTLED_S and _refuses(path):
                path.unlink()


def _refuses(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED
