"""Boundary between a command and the machine: bubblewrap, where it is installed and works.

Inside, a command sees the file system read-only but for its workspace, an empty ``/tmp`` and ``/run``, none of the
places where people and this service keep keys, no process but its own, and no network unless that is allowed. What
cannot be had (no bubblewrap, no user namespaces) is found out once, when a host starts, and said.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actors.domain.tools import SandboxMode
from actors.errors import ToolError

MEMORY_BYTES = 4 << 30
"""Private memory of one process in the sandbox; a compiler of large programs takes 2 GiB."""

FILE_BYTES = 4 << 30
"""Largest file that it writes."""

PROCESSES = 1024
"""Of one user, so that a fork bomb ends itself."""

_PROBE_S = 5.0

_SECRET_PLACES = (
    ".aws",
    ".azure",
    ".bash_history",
    ".cargo/credentials.toml",
    ".config/gcloud",
    ".config/gh",
    ".config/hub",
    ".docker",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".local/share/greenroom",
    ".local/share/keyrings",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    ".python_history",
    ".ray",
    ".ssh",
    ".vault-token",
)
"""Below the home directory. All of it cannot be hidden: compilers and interpreters are often installed there."""

_SHADOWS = ("/etc/shadow", "/etc/gshadow", "/etc/ssl/private")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How commands of this host are confined.

    Attributes:
        program: Path of bubblewrap; None: commands run with the rights of the service.
        why_not: Why there is none.
        required: Nothing runs without it.
        network: Commands may use the network.
        limits: Path of ``prlimit``, which sets resource limits; None leaves them out.
    """

    program: str | None = None
    why_not: str = "it is switched off"
    required: bool = False
    network: bool = False
    limits: str | None = None

    @classmethod
    def find(cls, mode: SandboxMode = "auto", *, network: bool = False) -> Sandbox:
        """The sandbox of this machine; blocks for some 10 ms to try it."""
        if mode == "off":
            return cls()
        required = mode == "required"
        program = shutil.which("bwrap")
        if program is None:
            return cls(why_not="bubblewrap (bwrap) is not installed", required=required)
        found = cls(program, "", required, network, shutil.which("prlimit"))
        try:
            tried = subprocess.run(
                found.wrapped(("true",), Path("/")), check=False, capture_output=True, timeout=_PROBE_S, text=True
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return cls(why_not=f"bubblewrap cannot be run ({type(error).__name__})", required=required)
        if tried.returncode:
            told = (tried.stderr.strip().splitlines() or ["it failed"])[0][:200]
            return cls(why_not=f"bubblewrap does not work here: {told}", required=required)
        return found

    @property
    def works(self) -> bool:
        """Whether commands are confined."""
        return self.program is not None

    @property
    def status(self) -> str:
        """For people: ``bubblewrap``, or why there is none."""
        return f"bubblewrap, {'with' if self.network else 'no'} network" if self.works else f"none: {self.why_not}"

    def command(self, argv: Sequence[str], workspace: Path, *, demanded: bool = False) -> tuple[str, ...]:
        """What to run in place of ``argv``.

        Args:
            argv: Program and arguments.
            workspace: Canonical directory that is writable and where the program starts.
            demanded: The session's policy wants a sandbox.

        Raises:
            ToolError: there is none, and one is demanded.
        """
        if self.works:
            return self.wrapped(argv, workspace)
        if self.required or demanded:
            who = "The service" if self.required else "The session's policy"
            raise ToolError(f"{who} wants commands to run in a sandbox, and there is none: {self.why_not}.")
        return tuple(argv)

    def wrapped(self, argv: Sequence[str], workspace: Path) -> tuple[str, ...]:
        """``argv`` within bubblewrap."""
        place = str(workspace)
        writable = ("--bind", place, place) if place != "/" else ()
        return (
            self.program or "bwrap",
            *("--die-with-parent", "--unshare-all", "--cap-drop", "ALL"),
            *(("--share-net",) if self.network else ()),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),
            *(() if self.network else ("--tmpfs", "/run")),
            *writable,
            # Behind the workspace, which may be the home that all this lies in.
            *_hidden(place),
            *("--chdir", place, "--"),
            *self._limited(),
            *argv,
        )

    def _limited(self) -> tuple[str, ...]:
        if self.limits is None:
            return ()
        bounds = {"data": MEMORY_BYTES, "fsize": FILE_BYTES, "nproc": PROCESSES, "core": 0}
        return (self.limits, *(f"--{name}={bound}" for name, bound in bounds.items()), "--")


def _hidden(workspace: str) -> list[str]:
    """Options that put nothing in the place of what nobody should read; what has the workspace in it stays."""
    home = os.path.expanduser("~")
    options: list[str] = []
    for place in (*(os.path.join(home, name) for name in _SECRET_PLACES), *_SHADOWS):
        real = os.path.realpath(place)
        if workspace == real or workspace.startswith(f"{real}/"):
            continue
        if os.path.isdir(real):
            options += ["--tmpfs", real]
        elif os.path.exists(real):
            options += ["--ro-bind", "/dev/null", real]
    return options
