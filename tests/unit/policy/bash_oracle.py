"""What a line of bash really does: it is run where nothing is but programs that write down how they were called."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

STUBS = ("git", "rm", "aa", "bb")
_REAL = ("timeout", "env", "nice", "xargs", "find", "bash")
_STUB = '#!/bin/sh\nprintf "%s\\036" "${0##*/}" "$@" END >> "$CALLS"\n'


@dataclass(frozen=True)
class Done:
    """What happened.

    Attributes:
        calls: The stubs that ran, with their arguments.
        files: What is in the directory afterwards.
    """

    calls: tuple[tuple[str, ...], ...]
    files: frozenset[str]


class Bash:
    """Runs lines, each in an empty directory."""

    def __init__(self, root: Path) -> None:
        self.home = root
        self._bin = root / "bin"
        self._bin.mkdir()
        for name in STUBS:
            (self._bin / name).write_text(_STUB)
            (self._bin / name).chmod(0o755)
        for name in _REAL:
            found = shutil.which(name)
            assert found is not None
            (self._bin / name).symlink_to(found)
        self._runs = 0

    def run(self, line: str) -> Done:
        """Run a line; nothing of it is left running, since its output is read to the end."""
        self._runs += 1
        directory, calls = self.home / f"run{self._runs}", self.home / f"calls{self._runs}"
        directory.mkdir()
        environment = {"PATH": str(self._bin), "HOME": "/nowhere", "LC_ALL": "C.UTF-8", "CALLS": str(calls)}
        subprocess.run(
            ["/bin/bash", "-c", line],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
        )
        text = calls.read_text(errors="surrogateescape") if calls.exists() else ""
        ran = tuple(tuple(record.split("\x1e")) for record in text.split("\x1eEND\x1e")[:-1])
        return Done(ran, frozenset(os.listdir(directory)))
