"""Boundary between paths that a model names and the file system: nothing outside the workspace is ever opened.

A path is resolved component by component, each one opened relative to its parent's handle without following links. A
symbolic link is read from its own handle, and its target is resolved by the same walk. So there is no moment between
a check and a use in which somebody could swap a directory for a link.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from actors.errors import PathOutsideWorkspace, ToolError

MAX_LINKS = 40
"""Symbolic links on one way: the kernel's own bound."""

MAX_STEPS = 512
"""Components on one way, links' targets included; a path of the kernel's 4,096 bytes seldom has a tenth of it."""

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ANY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: a name in an open directory.

    Attributes:
        directory: Handle of the directory (``O_PATH``), open while the ``locate`` block runs.
        name: Last component, never a link that was followed; "." for the workspace itself.
        relative: The real path from the workspace's root.
        asked: The path as it was given, for messages.
    """

    directory: int
    name: str
    relative: str
    asked: str

    def status(self) -> os.stat_result | None:
        """What is there, or None when there is nothing. A link is itself."""
        try:
            return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(self.asked, error) from error

    def open_file(self) -> BinaryIO:
        """The regular file that is there, open for reading.

        Raises:
            ToolError: There is nothing, or no regular file, or it may not be read.
        """
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        try:
            handle = os.open(self.name, flags, dir_fd=self.directory)
        except OSError as error:
            raise refused(self.asked, error) from error
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode):
            return os.fdopen(handle, "rb")
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise ToolError(f"{self.asked!r} is a directory; list it with ls.")
        raise ToolError(f"{self.asked!r} is not a regular file.")

    @contextmanager
    def open_directory(self) -> Generator[int]:
        """A handle of the directory that is there, good for listing it.

        Raises:
            ToolError: There is nothing, or no directory, or it may not be read.
        """
        try:
            handle = os.open(
                self.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.directory
            )
        except OSError as error:
            raise refused(self.asked, error) from error
        try:
            yield handle
        finally:
            os.close(handle)


def refused(path: str, error: OSError) -> ToolError:
    """The sentence for an operating system's refusal, which names the path as it was asked for."""
    if error.errno == errno.ENOENT:
        return ToolError(f"There is no file or directory {path!r}.")
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return ToolError(f"Cannot use {path!r}: {reason}.")


@contextmanager
def locate(root: str, path: str, *, create_parents: bool = False) -> Generator[Place]:
    """Resolve a path below ``root`` (canonical, absolute).

    Args:
        root: The workspace.
        path: Relative to the workspace, or absolute and inside it.
        create_parents: Make the directories that are missing on the way to the last component.

    Raises:
        PathOutsideWorkspace: The path, or a link on its way, leads out.
        ToolError: A component on the way is missing or no directory.
    """
    walk = _Walk(root, path, create_parents)
    try:
        yield walk.place()
    finally:
        walk.close()


def inside(root: str, path: str) -> list[str] | None:
    """The components below ``root`` that a path names, before links are looked at; None when it is elsewhere."""
    if not path.startswith("/"):
        return path.split("/")
    for candidate in (path, os.path.normpath(path)):
        if candidate == root or candidate.startswith(f"{root.rstrip('/')}/"):
            return candidate[len(root.rstrip("/")) :].split("/")
    return None


class _Walk:
    """One resolution: the handle of where it stands, and the components still to go."""

    def __init__(self, root: str, path: str, create: bool) -> None:
        if not path or "\0" in path:
            raise ToolError("A path must not be empty and must not contain a zero byte.")
        parts = inside(root, path)
        if parts is None:
            raise PathOutsideWorkspace(path)
        self._root, self._asked, self._create = root, path, create
        self._todo = deque(parts)
        self._real: list[str] = []
        self._links = self._steps = 0
        self._at = self._open_root()

    def close(self) -> None:
        """Give the handle back."""
        if self._at >= 0:
            os.close(self._at)
            self._at = -1

    def place(self) -> Place:
        """Walk to the last component and say where it is."""
        while self._todo:
            part = self._todo.popleft()
            self._count()
            if part in {"", "."}:
                continue
            if part == "..":
                self._up()
                continue
            last = not any(rest not in {"", "."} for rest in self._todo)
            if not self._into(part, last=last):
                return Place(self._at, part, "/".join([*self._real, part]), self._asked)
        if not self._real:
            return Place(self._at, ".", ".", self._asked)
        name = self._real[-1]
        relative = "/".join(self._real)
        self._up()
        return Place(self._at, name, relative, self._asked)

    def _open_root(self) -> int:
        try:
            return os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise ToolError(f"The workspace {self._root!r} is not a directory on this host.") from error

    def _count(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise ToolError(f"Path {self._asked[:200]!r} has too many components.")

    def _stand(self, handle: int) -> None:
        os.close(self._at)
        self._at = handle

    def _up(self) -> None:
        """To the parent, from the root again: a parent's handle is trusted only if it was reached from above."""
        if not self._real:
            raise PathOutsideWorkspace(self._asked)
        self._real.pop()
        self._stand(self._open_root())
        for part in self._real:
            self._count()
            try:
                self._stand(os.open(part, _DIRECTORY, dir_fd=self._at))
            except OSError as error:
                raise refused(self._asked, error) from error

    def _into(self, part: str, *, last: bool) -> bool:
        """Step into a directory, or follow a link; False when ``part`` is where the path ends."""
        try:
            handle = os.open(part, _ANY, dir_fd=self._at)
        except FileNotFoundError as error:
            if last:
                return False
            self._make(part, error)
            return True
        except OSError as error:
            raise refused(self._asked, error) from error
        mode = os.fstat(handle).st_mode
        if stat.S_ISLNK(mode):
            try:
                self._follow(os.readlink("", dir_fd=handle))
            finally:
                os.close(handle)
            return True
        if stat.S_ISDIR(mode):
            self._real.append(part)
            self._stand(handle)
            return True
        os.close(handle)
        if last:
            return False
        raise ToolError(f"Cannot use {self._asked!r}: {part!r} is not a directory.")

    def _follow(self, target: str) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise ToolError(f"Path {self._asked!r} goes through too many symbolic links.")
        parts = inside(self._root, target)
        if parts is None:
            raise PathOutsideWorkspace(self._asked)
        if target.startswith("/"):
            self._real.clear()
            self._stand(self._open_root())
        self._todo.extendleft(reversed(parts))

    def _make(self, part: str, missing: FileNotFoundError) -> None:
        # A way that goes down and up again would leave directories behind, also when it leads out in the end.
        if not self._create or ".." in self._todo:
            raise refused(self._asked, missing) from missing
        try:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=self._at)
            handle = os.open(part, _DIRECTORY, dir_fd=self._at)
        except OSError as error:
            raise refused(self._asked, error) from error
        self._real.append(part)
        self._stand(handle)
