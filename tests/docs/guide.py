"""Boundary between README.md with the guide in docs, and the tests that execute them: their code blocks and tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"^\s*print\(.*\)  # (.+)$")


def _pages() -> list[Path]:
    """README.md and the pages of its guide, in the order of its table."""
    listed = re.findall(r"^\| \[[^\]]+\]\((docs/[a-z-]+\.md)\)", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(listed) == len(set(listed))
    return [README, *(ROOT / name for name in listed)]


PAGES = _pages()


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``line``: where its text begins."""

    page: Path
    language: str
    line: int
    text: str

    @property
    def place(self) -> str:
        """Where it is, for people: ``sessions.md:5``."""
        return f"{self.page.name}:{self.line}"

    @property
    def padded(self) -> str:
        """The text at its own place of the file, so that a traceback names the line of the page."""
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
    found = [block for page in PAGES for block in blocks_of(page) if block.language == language]
    assert found, f"no page has a block of {language or 'no language'}"
    return found


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [Block(page, match[1], text.count("\n", 0, match.start()) + 2, match[2]) for match in _FENCE.finditer(text)]


def section(title: str) -> str:
    """The text below a heading, up to the next heading."""
    found: list[str] = []
    for page in PAGES:
        lines = dropwhile(lambda line: line.strip("# \n") != title, page.read_text(encoding="utf-8").splitlines())
        if next(lines, None) is None:
            continue
        assert not found, f"two sections are called {title!r}"
        for line in lines:
            if re.match(r"#+ ", line):
                break
            found.append(line)
    assert found, f"no page has a section {title!r}"
    return "\n".join(found)


def rows(title: str) -> list[list[str]]:
    """The cells of the table in a section, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def headings(page: Path) -> list[str]:
    """The headings of a page, with their marks."""
    outside = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line for line in outside.splitlines() if re.match(r"#+ ", line)]


def anchors(page: Path) -> set[str]:
    """What a link to a part of the page may name after its ``#``."""
    return {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in headings(page)}


def code(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)
