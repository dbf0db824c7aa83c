"""Boundary between README.md and the tests that execute it: its code blocks and its tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"^\s*print\(.*\)  # (.+)$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``line``: where its text begins."""

    language: str
    line: int
    text: str

    @property
    def padded(self) -> str:
        """The text at its own place of the file, so that a traceback names the line of the README."""
        return "\n" * (self.line - 1) + self.text

    @property
    def is_program(self) -> bool:
        """Whether it is complete by itself; otherwise it goes on where the blocks before it stopped."""
        return "asyncio.run(" in self.text or "SyncSessionManager" in self.text

    @property
    def promised(self) -> list[str]:
        """What the comments beside its prints say that they print."""
        return [found[1] for line in self.text.splitlines() if (found := _PRINTED.match(line))]


def blocks(language: str) -> list[Block]:
    """The blocks of a language, in order; those of none are commands that set things up."""
    text = README.read_text(encoding="utf-8")
    found = [
        Block(match[1], text.count("\n", 0, match.start()) + 2, match[2])
        for match in _FENCE.finditer(text)
        if match[1] == language
    ]
    assert found, f"README.md has no block of {language or 'no language'}"
    return found


def section(title: str) -> str:
    """The text below a heading, up to the next heading."""
    lines = dropwhile(lambda line: line.strip("# \n") != title, README.read_text(encoding="utf-8").splitlines())
    assert next(lines, None) is not None, f"README.md has no section {title!r}"
    found: list[str] = []
    for line in lines:
        if re.match(r"#+ ", line):
            break
        found.append(line)
    return "\n".join(found)


def rows(title: str) -> list[list[str]]:
    """The cells of the table in a section, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)
