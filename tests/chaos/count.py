"""Holds what readers, the file of the tools and the database say against the promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from actors import SessionHandle, SessionState
from actors.storage.verify import Verification
from tests.chaos import invariants
from tests.chaos.asking import until_sure
from tests.chaos.invariants import History
from tests.chaos.load import User, history_of
from tests.chaos.report import Report

SETTLED_S = 60.0
"""Longest wait for a child that has to be put back into service."""


async def count(
    users: Sequence[User], directory: Path, store: Path, report: Report
) -> list[tuple[SessionHandle, History]]:
    """Add to the report what was done and what is broken; returns the forks and what they are."""
    finished: list[str] = []
    forks: list[tuple[SessionHandle, History]] = []
    for user in users:
        history = await user.history()
        children = {child.journal_id: await _settled(child) for child in user.kin.born}
        forked = [(fork, await history_of(fork, inputs)) for fork, inputs in user.kin.forked]
        report.violations += invariants.none_lost(history.session_id, user.lost)
        report.violations += invariants.children_told_once(history, children)
        report.violations += invariants.read_in_order(history, user.reader.seen)
        for _, one in forked:
            report.violations += invariants.shares_the_beginning(history, one)
        for one in (history, *children.values(), *(fork for _, fork in forked)):
            report.violations += invariants.broken_by(one)
            finished += invariants.finished_words(one, "append_once")
        forks += forked
        _add(user, report)
    once = directory / "once"
    lines = once.read_text().split() if once.exists() else []
    report.appended += len(lines)
    report.violations += invariants.unsafe_ran_at_most_once(lines) + invariants.finished_calls_ran(lines, finished)
    report.violations += await asyncio.to_thread(_unsound, store)
    return forks


def _add(user: User, report: Report) -> None:
    report.turns += user.turns
    report.inputs += len(user.acknowledged) + user.repeated
    report.repeated += user.repeated
    report.children += len(user.kin.born)
    report.forks += len(user.kin.forked)
    report.returned += user.reader.returned


async def _settled(child: SessionHandle) -> History:
    """A child's history; one that was taken out of service is put back, and ends its turn."""
    async with asyncio.timeout(SETTLED_S):
        while (info := await child.info()).open_turn is not None or info.state is SessionState.error:
            if info.state is SessionState.error:
                await until_sure(child.resume)
            await asyncio.sleep(0.1)
    return await history_of(child, [])


def _unsound(store: Path) -> list[str]:
    """What ``greenroom verify`` finds: it folds every journal and looks at every row."""
    return [str(finding) for finding in Verification(str(store))]
