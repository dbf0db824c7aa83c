"""Boundary to the directory for temporary files: one that goes with its process, also when that is killed.

The owner holds a lock on it, which the kernel lets go of when the owner dies. Whoever makes the next one removes those
that nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

PREFIX: Final = "greenroom-model-"


class OwnDirectory:
    """A private directory of this process.

    Attributes:
        path: Where it is.
    """

    def __init__(self) -> None:
        _sweep()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            lock = _locked(self.path)
            if lock is not None:
                self._lock = lock
                return
            # Somebody who was sweeping took it for one that nobody holds.

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _locked(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _locked(path: Path) -> int | None:
    """A descriptor that holds a directory; None when somebody else does, or it is not there or not ours."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(descriptor)
        if held.st_uid == os.getuid() and os.path.samestat(held, os.stat(path)):
            return descriptor
    except OSError:
        pass  # Somebody holds it, or has just removed it.
    os.close(descriptor)
    return None
