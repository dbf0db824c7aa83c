"""Boundary between a search and a directory tree: the files below a path, in order, without those that are ignored.

Every directory is opened relative to its parent's handle and links are not followed, so the walk cannot be led out of
the workspace. Ignore files are honoured as git does: the nearest one that has a say decides.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from actors.errors import PathOutsideWorkspace, ToolError
from actors.tools.workspace import locate

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MAX_DEPTH = 64
"""Directories below one another; a tree that is deeper is a loop of mounts or a prank."""

MAX_IGNORE_BYTES = 64 * 1024
"""Read of one ignore file."""

_IGNORE_FILES = (".gitignore", ".ignore")
_NEVER = frozenset({".git", ".hg", ".svn"})
"""Databases of version control: nobody searches there on purpose."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file.

    Attributes:
        path: From the workspace's root.
        below: From where the walk began.
    """

    path: str
    below: str
    name: str
    directory: int

    @contextmanager
    def open(self) -> Generator[BinaryIO]:
        """The file's content; empty when it cannot be read."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            handle = os.open(self.name, flags, dir_fd=self.directory)
        except OSError:
            handle = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            yield file


@dataclass(frozen=True, slots=True)
class _Ignores:
    """The rules of one directory, for paths below it."""

    base: str
    spec: GitIgnoreSpec


def walk(root: str, path: str) -> Iterator[Found]:
    """The files below ``path`` in the order of their paths; ``path`` itself when it is a file.

    Raises:
        ToolError: There is nothing at ``path``, or it is outside of the workspace.
    """
    with locate(root, path) as place:
        status = place.status()
        if status is None:
            raise ToolError(f"There is no file or directory {path!r}.")
        if stat.S_ISREG(status.st_mode):
            yield Found(place.relative, place.name, place.name, place.directory)
            return
        with place.open_directory() as handle:
            start = "" if place.relative == "." else place.relative
            above = _ignores_above(root, start)
            # Who names an ignored directory wants to look into it.
            yield from _walk(handle, start, "", () if start and _ignored(above, start, True) else above, 0)


def exists(root: str, path: str) -> bool:
    """Whether there is anything at a path inside the workspace.

    Raises:
        PathOutsideWorkspace: It leads out.
    """
    try:
        with locate(root, path) as place:
            return place.status() is not None
    except PathOutsideWorkspace:
        raise
    except ToolError:
        return False


def _walk(directory: int, path: str, below: str, ignores: tuple[_Ignores, ...], depth: int) -> Iterator[Found]:
    ignores = (*ignores, *_ignores_in(directory, path))
    for name, is_directory in _entries(directory):
        inner = f"{path}/{name}" if path else name
        inner_below = f"{below}/{name}" if below else name
        if _ignored(ignores, inner, is_directory):
            continue
        if not is_directory:
            yield Found(inner, inner_below, name, directory)
        elif depth < MAX_DEPTH:
            with _opened(directory, name) as handle:
                if handle is not None:
                    yield from _walk(handle, inner, inner_below, ignores, depth + 1)


def _entries(directory: int) -> list[tuple[str, bool]]:
    """Names of directories and regular files, in the order that their whole paths have."""
    found: list[tuple[str, bool]] = []
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            is_directory = entry.is_dir(follow_symlinks=False)
            if (is_directory and entry.name not in _NEVER) or entry.is_file(follow_symlinks=False):
                found.append((entry.name, is_directory))
    return sorted(found, key=lambda one: f"{one[0]}/" if one[1] else one[0])


@contextmanager
def _opened(directory: int, name: str) -> Generator[int | None]:
    with ExitStack() as stack:
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(name, flags, dir_fd=directory)
        except OSError:
            yield None
            return
        stack.callback(os.close, handle)
        yield handle


def _ignores_above(root: str, start: str) -> tuple[_Ignores, ...]:
    """The rules of the directories on the way from the workspace to where the walk begins."""
    parts = start.split("/") if start else []
    found: list[_Ignores] = []
    for count in range(len(parts)):
        base = "/".join(parts[:count])
        with suppress(ToolError), locate(root, base or ".") as place, place.open_directory() as handle:
            found.extend(_ignores_in(handle, base))
    return tuple(found)


def _ignores_in(directory: int, base: str) -> Iterator[_Ignores]:
    for name in _IGNORE_FILES:
        lines = _ignore_lines(directory, name)
        if lines:
            # Half of a worker's start, and most trees that are searched in tests and sandboxes have no ignore file.
            from pathspec import GitIgnoreSpec

            with suppress(ValueError):
                yield _Ignores(base, GitIgnoreSpec.from_lines(lines))


def _ignore_lines(directory: int, name: str) -> list[str]:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return []
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return []
        return file.read(MAX_IGNORE_BYTES).decode(errors="replace").splitlines()


def _ignored(ignores: tuple[_Ignores, ...], path: str, is_directory: bool) -> bool:
    for one in reversed(ignores):
        below = path[len(one.base) + 1 :] if one.base else path
        said = one.spec.check_file(f"{below}/" if is_directory else below).include
        if said is not None:
            return said
    return False
