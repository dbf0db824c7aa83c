"""What the children of a session have answered, as its journal tells it. Only the store is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from actors.domain import records as r
from actors.domain.children import ChildReport, ChildResult
from actors.domain.journal import StoredRecord
from actors.domain.messages import Message, Role
from actors.domain.records import decode_record
from actors.errors import ChildrenPending, InternalError, InvalidRequest, SessionNotFound
from actors.reading.following import followed
from actors.reading.stretches import BEGINNINGS, pages
from actors.reading.turns import whole
from actors.session.ports import Store

Mode = Literal["first", "all"] | int
"""For how many answers to wait."""

_TELLING = BEGINNINGS | {"child.started", "child.completed"}
"""The records that tell of children; others are not decoded."""


@dataclass
class _Family:
    """By journal, the children with tasks in the order of their start, and their reports in the order they came."""

    started: dict[str, str] = field(default_factory=dict[str, str])
    reports: dict[str, ChildReport] = field(default_factory=dict[str, ChildReport])
    head: int = 0

    def take(self, batch: Iterable[StoredRecord]) -> None:
        for stored in batch:
            self.head = stored.seq
            if stored.type not in _TELLING:
                continue
            record = decode_record(stored.body)
            if isinstance(record, r.ChildStarted) and record.data.task:
                self.started[record.data.child_journal_id] = record.data.child_id
            elif isinstance(record, r.ChildCompleted):
                self.reports[record.data.child_journal_id] = record.data
            elif isinstance(record, r.SessionForked | r.SessionImported):
                # Those before are those of the session it comes from.
                self.started.clear()
                self.reports.clear()

    def answered(self, chosen: Iterable[str]) -> list[str]:
        wanted = frozenset(chosen)
        return [journal_id for journal_id in self.reports if journal_id in wanted]


async def results_of(store: Store, tenant: str, session_id: str, journal_id: str) -> tuple[ChildResult, ...]:
    """How every child with a task stands now, in the order in which they were started.

    Raises:
        SessionNotFound: no such session.
    """
    family = await _family(store, tenant, session_id, journal_id)
    return await _results(store, tenant, family, list(family.started))


async def wait_children(
    store: Store,
    tenant: str,
    session_id: str,
    journal_id: str,
    mode: Mode,
    *,
    children: Sequence[str] | None = None,
    timeout: float | None = None,
) -> tuple[ChildResult, ...]:
    """Wait until the first, all, or so many of the children have answered. Nothing is started for it.

    Asking again gives the same answers: those that came first, in the order in which the children were started.

    Raises:
        ChildrenPending: ``timeout`` seconds passed.
        InvalidRequest: ``children`` names others than its children with tasks, or there are not so many.
        SessionNotFound: the session is destroyed, before or meanwhile.
    """
    family = await _family(store, tenant, session_id, journal_id)
    chosen = _chosen(family, children, session_id)
    need = _count(mode, len(chosen), session_id)
    try:
        async with asyncio.timeout(timeout):
            await _until(store, tenant, journal_id, family, chosen, need)
    except TimeoutError:
        raise ChildrenPending(session_id, len(family.answered(chosen)), need) from None
    first = frozenset(family.answered(chosen)[:need])
    return await _results(store, tenant, family, [one for one in chosen if one in first])


async def _family(store: Store, tenant: str, session_id: str, journal_id: str) -> _Family:
    """The children that the journal tells of up to its present head."""
    row = await store.row(tenant, journal_id)
    if row is None:
        raise SessionNotFound(session_id)
    family = _Family()
    async for page in pages(store, tenant, journal_id, upto=row.head_seq):
        family.take(page)
    return family


async def _until(store: Store, tenant: str, journal_id: str, family: _Family, chosen: Sequence[str], need: int) -> None:
    if len(family.answered(chosen)) >= need:
        return
    async for batch in followed(store, tenant, journal_id, after=family.head):
        family.take(batch)
        if len(family.answered(chosen)) >= need:
            return
    raise InternalError("a journal ended under its reader")


def _chosen(family: _Family, children: Sequence[str] | None, session_id: str) -> list[str]:
    """The journals of the children that are meant."""
    if children is None:
        return list(family.started)
    known = {child_id: journal_id for journal_id, child_id in family.started.items()}
    for child_id in children:
        if child_id not in known:
            raise InvalidRequest(f"Session {session_id!r} has started no child {child_id[:140]!r} with a task.")
    return [known[child_id] for child_id in dict.fromkeys(children)]


def _count(mode: Mode, children: int, session_id: str) -> int:
    if mode == "all":
        return children
    wanted = 1 if mode == "first" else mode
    if wanted not in range(1, children + 1):
        there = f"session {session_id!r} has {children} children with tasks to wait for"
        raise InvalidRequest(f"Wait for 'first', 'all', or a number of answers; {there}.")
    return wanted


async def _results(store: Store, tenant: str, family: _Family, journals: Iterable[str]) -> tuple[ChildResult, ...]:
    return tuple([await _result(store, tenant, family, journal_id) for journal_id in journals])


async def _result(store: Store, tenant: str, family: _Family, journal_id: str) -> ChildResult:
    report = family.reports.get(journal_id)
    if report is None:
        return ChildResult(child_id=family.started[journal_id])
    text = report.text
    if report.parts:
        (message,) = await whole(store, tenant, [Message(role=Role.assistant, content=report.parts)])
        text = message.text
    return ChildResult(
        child_id=report.child_id,
        outcome=report.outcome,
        text=text,
        code=report.code,
        error=report.message,
        usage=report.usage,
        cost_usd=report.cost_usd,
    )
