"""Holds what readers, the file of the tools and the database say against the promises."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from actors.domain.records import SessionCompacted
from actors.storage.verify import Verification
from tests.chaos import invariants, of_calls
from tests.chaos.invariants import History
from tests.chaos.prompts import TOOLS
from tests.chaos.report import Report


class Reads(Protocol):
    """A reader of a session."""

    seen: list[int]
    returned: int


class Counted(Protocol):
    """A user, when all is over."""

    turns: int
    repeated: int
    steered: int
    acknowledged: list[str]
    lost: list[str]

    @property
    def reader(self) -> Reads:
        """Who read along."""
        ...

    async def history(self) -> History:
        """What a reader finds at the end."""
        ...

    async def children(self) -> dict[str, History]:
        """The same of its children, by journal id."""
        ...

    async def forks(self) -> list[History]:
        """The same of its forks."""
        ...


async def count(users: Sequence[Counted], tools: Collection[str], directory: Path, store: Path, report: Report) -> None:
    """Add to the report what was done, and what is broken.

    Args:
        tools: The unsafe ones, whose lines are in the directory's file ``once``.
        store: The directory of the database.
    """
    finished: list[str] = []
    accepted: list[str] = []
    for user in users:
        history, children, forks = await user.history(), await user.children(), await user.forks()
        report.violations += invariants.none_lost(history.session_id, user.lost)
        report.violations += invariants.children_told_once(history, children)
        report.violations += invariants.read_in_order(history, user.reader.seen)
        for fork in forks:
            report.violations += invariants.shares_the_beginning(history, fork)
        for one in (history, *children.values(), *forks):
            report.violations += invariants.broken_by(one) + of_calls.broken_in(one, TOOLS["slow"])
            finished += invariants.finished_words(one, tools)
            accepted += of_calls.accepted(one)
            served, asked, artifacts = of_calls.counted(one)
            report.served += served
            report.asked += asked
            report.artifacts += artifacts
        report.turns += user.turns
        report.inputs += len(user.acknowledged) + user.repeated
        report.repeated += user.repeated
        report.steered += user.steered
        report.compacted += sum(isinstance(one, SessionCompacted) for one in history.records)
        report.children += len(children)
        report.forks += len(forks)
        report.returned += user.reader.returned
    lines, taken = _words(directory / "once"), _words(directory / "answers")
    report.appended += len(lines)
    report.violations += invariants.unsafe_ran_at_most_once(lines) + invariants.finished_calls_ran(lines, finished)
    report.violations += of_calls.answers_taken_once(taken, accepted)
    report.violations += await asyncio.to_thread(_unsound, store)


def _words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def _unsound(store: Path) -> list[str]:
    """What ``greenroom verify`` finds: it folds every journal and looks at every row."""
    return [str(finding) for finding in Verification(str(store))]
