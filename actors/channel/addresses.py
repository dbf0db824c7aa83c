"""The boundary between channel addresses and sockets: ``unix:/path`` and ``tcp:host:port``."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from actors.errors import InvalidConfig

MAX_UNIX_PATH_BYTES: Final = 107
"""``sun_path`` of Linux holds 108 bytes with the closing zero."""

_SOCKET_NAME_BYTES: Final = 40
"""Room that ``socket_directory`` leaves for the names of sockets: a prefix and a ULID or a hex digest."""

_LAST_ROOT: Final = "/tmp"
"""Where sockets go when the directories of the environment are missing or too deep, as those of build jobs may be."""


def socket_directory(runtime: str) -> Path:
    """The private directory (mode 0700) for the Unix sockets of a runtime, created when absent.

    It lies under the first of ``XDG_RUNTIME_DIR``, the directory for temporary files and ``/tmp`` that is usable and
    short enough. Its name is a digest of ``runtime``, so that any name fits in a socket's path.

    Raises:
        InvalidConfig: The directory belongs to somebody else, is open to others, or its path is too long.
    """
    path = _short_root() / f"greenroom-{os.geteuid()}-{hashlib.blake2s(runtime.encode(), digest_size=6).hexdigest()}"
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise InvalidConfig(f"Cannot create the socket directory {path}: {error.strerror}. Set TMPDIR.") from error
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise InvalidConfig(f"{path} must be a directory of your own with mode 0700. Remove it, or set TMPDIR.")
    return path


def _short_root() -> Path:
    room = MAX_UNIX_PATH_BYTES - _SOCKET_NAME_BYTES - len(f"/greenroom-{os.geteuid()}-/") - 12
    for root in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), _LAST_ROOT):
        if root and len(os.fsencode(root)) <= room and os.access(root, os.W_OK | os.X_OK):
            return Path(root)
    raise InvalidConfig(f"No usable directory for sockets: set TMPDIR to a writable path of at most {room} bytes.")


def check_unix_path(path: str) -> str:
    """The path as it came.

    Raises:
        InvalidConfig: It is longer than a Unix socket's path may be.
    """
    if len(os.fsencode(path)) > MAX_UNIX_PATH_BYTES:
        raise InvalidConfig(
            f"Socket path {path!r} is longer than {MAX_UNIX_PATH_BYTES} bytes; use a shorter directory."
        )
    return path


async def dial(address: str, protocol: Callable[[], asyncio.Protocol]) -> None:
    """Connect a new protocol to an address.

    Raises:
        InvalidConfig: The address is neither ``unix:/path`` nor ``tcp:host:port``.
        OSError: Nobody answers there.
    """
    loop = asyncio.get_running_loop()
    scheme, _, rest = address.partition(":")
    host, _, port = rest.rpartition(":")
    if scheme == "unix" and rest:
        await loop.create_unix_connection(protocol, check_unix_path(rest))
    elif scheme == "tcp" and host and port.isdecimal():
        await loop.create_connection(protocol, host.strip("[]"), int(port))
    else:
        raise InvalidConfig(f"Channel address {address!r} is neither unix:/path nor tcp:host:port.")


def tcp_address(host: str, port: int) -> str:
    """The address of a TCP end; a host with colons (IPv6) gets brackets."""
    return f"tcp:[{host}]:{port}" if ":" in host else f"tcp:{host}:{port}"
