"""Boundary between a tool host and a search over files: a process of its own, which can be killed.

A pattern that a model writes may take for ever, and Python holds its lock while it matches; an ignore file in the
workspace may hold such a pattern as well. Here that stops nobody else. The only argument is the request as JSON, with
the places to import from; the answer is one JSON object on stdout. Time is bounded by an alarm, which interrupts a
match, so what was found until then is answered.
"""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

if TYPE_CHECKING:
    from types import FrameType

    from actors.tools.globbing import Glob
    from actors.tools.tree import Found

MAX_PATHS = 1000
"""Paths that one glob answers with."""

_MAX_MEMORY = 1 << 30
"""Address space: a worker needs 60 MB; what needs more is a pattern gone wrong."""

_MAX_LINE_BYTES = 1 << 16
"""Searched of a line; longer ones are data, not text."""

_SHOWN_CHARS = 2000
_SNIFF = 8192


class _TimeUp(BaseException):
    """The alarm rang. Not an Exception: no handler on the way may take it for a failed file."""


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Answer one request: ``{"paths" or "lines", "files", "matches", "more", "timed_out"}`` or ``{"error"}``."""
    from actors.errors import ToolError, to_wire

    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, request["timeout_s"])
    try:
        return _glob(request) if request["kind"] == "glob" else _grep(request)
    except ToolError as error:
        return {"error": to_wire(error)}
    except _TimeUp:
        slow = ToolError("The search took too long before it found anything. Narrow the path or the pattern.")
        return {"error": to_wire(slow)}


def _ring(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise _TimeUp


def _glob(request: dict[str, Any]) -> dict[str, Any]:
    from actors.tools.globbing import Glob
    from actors.tools.tree import exists, walk

    if exists(request["root"], request["base"]) and not exists(request["root"], request["path"]):
        return {"paths": [], "more": False, "timed_out": False}
    pattern = Glob(request["pattern"]) if request["pattern"] else None
    paths: list[str] = []
    timed_out = False
    try:
        fitting = (one.path for one in walk(request["root"], request["path"]) if _wanted(pattern, one))
        paths.extend(islice(fitting, MAX_PATHS + 1))
    except _TimeUp:
        timed_out = True
    return {"paths": paths[:MAX_PATHS], "more": len(paths) > MAX_PATHS, "timed_out": timed_out}


def _wanted(pattern: Glob | None, found: Found) -> bool:
    return pattern is None or pattern.matches(found.below)


def _grep(request: dict[str, Any]) -> dict[str, Any]:
    from actors.errors import ToolError
    from actors.tools.globbing import Glob
    from actors.tools.tree import walk

    try:
        pattern = re.compile(request["pattern"], re.IGNORECASE if request["ignore_case"] else 0)
    except (re.error, RecursionError, OverflowError) as error:
        raise ToolError(f"The regular expression is not valid: {error}.") from error
    wanted = Glob(request["glob"], anywhere=True) if request["glob"] else None
    report = _Report(request["max_bytes"], request["context"])
    try:
        for found in walk(request["root"], request["path"]):
            if not _wanted(wanted, found):
                continue
            with found.open() as file:
                report.search(found.path, file, pattern)
            if report.full:
                break
    except _TimeUp:
        report.timed_out = True
    return report.answer()


class _Report:
    """What a grep has found so far, within its bound."""

    def __init__(self, max_bytes: int, context: int) -> None:
        self.full = self.timed_out = False
        self._room = max_bytes
        self._context = context
        self._lines: list[str] = []
        self._files = self._matches = 0

    def search(self, path: str, file: BinaryIO, pattern: re.Pattern[str]) -> None:
        """Add the matches of one file."""
        if b"\0" in file.read(_SNIFF):
            return
        file.seek(0)
        before: deque[tuple[int, str]] = deque(maxlen=self._context)
        last, found, after = 0, False, 0
        for number, line in enumerate(_lines(file), 1):
            if pattern.search(line):
                self._matches += 1
                self._files += not found
                if self._context and self._lines and (not found or number - len(before) > last + 1):
                    self._add("--")
                for earlier, text in before:
                    self._add(f"{path}-{earlier}-{text}")
                before.clear()
                self._add(f"{path}:{number}:{_shown(line)}")
                found, last, after = True, number, self._context
            elif after:
                after -= 1
                last = number
                self._add(f"{path}-{number}-{_shown(line)}")
            else:
                before.append((number, _shown(line)))
            if self.full:
                return

    def answer(self) -> dict[str, Any]:
        """The result, ready to be sent."""
        counts = {"files": self._files, "matches": self._matches}
        return {"lines": self._lines, "more": self.full, "timed_out": self.timed_out} | counts

    def _add(self, line: str) -> None:
        self._room -= len(line.encode(errors="replace")) + 1
        if self._room < 0:
            self.full = True
        if not self.full:
            self._lines.append(line)


def _lines(file: BinaryIO) -> Iterator[str]:
    while raw := file.readline(_MAX_LINE_BYTES):
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(_MAX_LINE_BYTES)
        yield raw.decode(errors="replace").rstrip("\r\n")


def _shown(line: str) -> str:
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]} [line cut]"


if __name__ == "__main__":
    _request = json.loads(sys.argv[1])
    sys.path[:0] = _request["import_from"]
    sys.stdout.write(json.dumps(main(_request)))
