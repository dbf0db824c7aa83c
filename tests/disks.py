"""File systems that are really full: a small one in memory, mounted for one test.

Mounting takes the rights of root. Where they are missing, the tests that need them are skipped and say so; their
neighbours with a limit on the size of files run everywhere.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted file system of a few megabytes.

    Args:
        path: Where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def free(self) -> None:
        """Give back what ``fill`` took."""
        self._filler.unlink()


@contextmanager
def small_disk(path: Path, megabytes: int = 4) -> Generator[SmallDisk]:
    """A file system of its own at ``path``; skips the test where nothing can be mounted."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here (uid {os.getuid()}): {done.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        # Lazily: a process that was killed may still hold a file.
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextmanager
def files_no_larger_than(size: int) -> Generator[None]:
    """A disk that is full: the kernel refuses to let any file of this process grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
