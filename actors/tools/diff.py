"""Unified diffs of one file: read strictly, and applied only where every line stands as the diff says. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from actors.errors import ToolError

_HEADER = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_SHOWN = 120
"""Bytes of a line that are repeated in an error."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """One change: the lines ``old``, which begin at line ``start`` (1 is the first), become ``new``.

    Lines have no ends. ``ends_open``: the last new line has none in the file either; None when the diff does not say.
    """

    start: int
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]
    ends_open: bool | None = None


def parse(diff: bytes) -> list[Hunk]:
    """The hunks of a diff, in the order of the file. What stands before the first is not looked at.

    Raises:
        ToolError: there is none, it is about more than one file, or a header counts other lines than there are.
    """
    lines = diff.replace(b"\r\n", b"\n").split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    starts = [at for at, line in enumerate(lines) if _HEADER.match(line)]
    if not starts:
        raise ToolError("The diff has no hunk: each begins with a line such as '@@ -1,3 +1,4 @@'.")
    hunks = [_hunk(lines[at:end]) for at, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    for before, after in zip(hunks, hunks[1:], strict=False):
        if after.start < before.start + len(before.old):
            raise ToolError(f"The hunk at line {after.start} begins before the one before it has ended.")
    return hunks


def _hunk(lines: list[bytes]) -> Hunk:
    header = _HEADER.match(lines[0])
    if header is None:
        raise AssertionError("a hunk begins with its header")
    start, old_count, _, new_count = (int(count) if count is not None else 1 for count in header.groups())
    old: list[bytes] = []
    new: list[bytes] = []
    ends_open: bool | None = None
    for before, line in itertools.pairwise(lines):
        mark, text = line[:1], line[1:]
        if mark == b"\\":
            # "\ No newline at end of file" is about the line before it.
            ends_open = before[:1] != b"-"
        elif len(old) == old_count and len(new) == new_count:
            _check_rest(line)
        elif mark == b"-":
            old.append(text)
        elif mark == b"+":
            new.append(text)
        elif mark == b" " or not line:
            # An empty line stands for an empty line of context: editors and models drop the blank.
            old.append(text)
            new.append(text)
        else:
            raise ToolError(f"The line {_show(line)} of the diff begins with none of ' ', '+' and '-'.")
    if (len(old), len(new)) != (old_count, new_count):
        raise ToolError(
            f"The header {_show(lines[0])} counts {old_count} old and {new_count} new lines, but {len(old)} and "
            f"{len(new)} follow. Count again: context and '-' are old, context and '+' are new."
        )
    return Hunk(start if old_count else start + 1, tuple(old), tuple(new), ends_open)


def _check_rest(line: bytes) -> None:
    if line.startswith((b"--- ", b"diff ", b"+++ ")):
        raise ToolError("The diff is about more than one file. Send one diff for each file.")
    if line.strip():
        raise ToolError(f"The line {_show(line)} is more than the header of its hunk counts. Count again.")


def apply(data: bytes, hunks: list[Hunk]) -> bytes:
    """The file with the hunks applied; its line ends stay what they are.

    Raises:
        ToolError: its line ends are mixed, or the lines are not where the diff says.
    """
    end = _line_end(data)
    lines = data.split(end) if data else []
    open_end = bool(lines) and lines[-1] != b""
    if lines and not open_end:
        lines.pop()
    result: list[bytes] = []
    done = 0
    for hunk in hunks:
        at = hunk.start - 1
        if tuple(lines[at : at + len(hunk.old)]) != hunk.old or at > len(lines):
            raise ToolError(_mismatch(lines, hunk))
        result += [*lines[done:at], *hunk.new]
        done = at + len(hunk.old)
    result += lines[done:]
    if done == len(lines):
        said = hunks[-1].ends_open
        open_end = said if said is not None else open_end and bool(hunks[-1].old)
    return end.join(result) + (b"" if open_end or not result else end)


def _line_end(data: bytes) -> bytes:
    crlf, lf = data.count(b"\r\n"), data.count(b"\n")
    if crlf and crlf != lf:
        raise ToolError("The file has both CR LF and LF at the ends of its lines. Make them one kind first, with bash.")
    return b"\r\n" if crlf else b"\n"


def _mismatch(lines: list[bytes], hunk: Hunk) -> str:
    at = hunk.start - 1
    wrong = next((n for n, line in enumerate(hunk.old) if lines[at + n : at + n + 1] != [line]), len(hunk.old))
    found = _show(lines[at + wrong]) if at + wrong < len(lines) else "the end of the file"
    wanted = _show(hunk.old[wrong]) if wrong < len(hunk.old) else "a line"
    told = f"The diff does not fit: line {at + wrong + 1} is {found}, and should be {wanted}."
    elsewhere = list(_places(lines, hunk.old))
    if len(elsewhere) == 1:
        return f"{told} The lines of this hunk stand at line {elsewhere[0] + 1}."
    return f"{told} Read the file again."


def _places(lines: list[bytes], wanted: tuple[bytes, ...]) -> Iterator[int]:
    if not wanted:
        return
    for at, line in enumerate(lines):
        if line == wanted[0] and tuple(lines[at : at + len(wanted)]) == wanted:
            yield at


def _show(line: bytes) -> str:
    return repr(line[:_SHOWN].decode(errors="replace"))
