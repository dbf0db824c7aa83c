"""One run: a runtime of its own, users, faults, and what is left of them."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

from actors import SessionManager, Settings
from actors.cluster.links import actor_names
from actors.domain.ids import utc_now
from actors.storage.open import open_backend
from actors.storage.schema import META, METADATA
from actors.storage.sqlite import FILE_NAME
from actors.storage.verify import Verification
from tests.chaos import invariants
from tests.chaos.faults import SILENCE_S, Faults
from tests.chaos.load import User
from tests.chaos.report import Report

TOOLS = ("tests.chaos.given_tools:append_once", "tests.chaos.given_tools:append_again")

STORE = "store"
"""Directory of the database, below that of the run."""


def pipes_below(directory: Path) -> Path:
    """Where the processes of a run can be armed; made if need be."""
    pipes = directory / "pipes"
    pipes.mkdir(exist_ok=True)
    return pipes


GONE_S = 20.0
"""Processes and actors need a few seconds to end on a loaded machine."""


async def run(directory: Path, *, seed: int, faults: int, users: int = 6, max_resident: int = 4) -> Report:
    """Do so many faults under load; Ray has been started.

    Fewer places than sessions, so that some hibernate all the time.
    """
    report = Report(seed)
    settings = Settings(
        runtime=f"chaos-{secrets.token_hex(4)}",
        min_warm=2,
        max_resident=max_resident,
        idle_timeout_s=1.0,
        silence_s=SILENCE_S,
        workspace=str(directory),
    )
    store = directory / STORE
    manager = await SessionManager.with_persistence("scripted/prompt", store, settings=settings, tools=TOOLS)
    try:
        present = [await User.enter(manager, f"user-{n}", directory, seed + n) for n in range(users)]
        killer = Faults(settings.runtime, seed, pipes_below(directory))
        present += await _under_fire(manager, present, killer, faults, directory, report)
        await _count(present, directory, report)
        for user in present:
            await manager.destroy_session(user.session.session_id)
    finally:
        await manager.close()
    report.violations += invariants.nothing_left(
        {"actor": await _actors_left(settings.runtime), "row": _rows_left(store)}
    )
    return report


async def _count(present: list[User], directory: Path, report: Report) -> None:
    """Hold what a reader, the file of the tools and the database say against the promises."""
    finished: list[str] = []
    for user in present:
        history = await user.history()
        report.violations += invariants.broken_by(history) + invariants.none_lost(history.session_id, user.lost)
        finished += invariants.finished_words(history, "append_once")
        report.turns += user.turns
        report.inputs += len(user.acknowledged) + user.repeated
        report.repeated += user.repeated
    once = directory / "once"
    lines = once.read_text().split() if once.exists() else []
    report.appended = len(lines)
    report.violations += invariants.unsafe_ran_at_most_once(lines) + invariants.finished_calls_ran(lines, finished)
    report.violations += await asyncio.to_thread(_unsound, directory / STORE)


def _unsound(store: Path) -> list[str]:
    """What ``greenroom verify`` finds: it folds every journal and looks at every row."""
    return [str(finding) for finding in Verification(str(store))]


async def _under_fire(
    manager: SessionManager, present: list[User], killer: Faults, faults: int, directory: Path, report: Report
) -> list[User]:
    """Returns the witnesses: users who came after the faults."""
    over = asyncio.Event()
    witnesses: list[User] = []
    async with asyncio.TaskGroup() as group:
        for user in present:
            group.create_task(user.talk(over))
        while (rest := faults - report.faults.total()) > 0:
            report.faults.update(await killer.some(rest))
            before = time.monotonic()
            witness = await User.enter(manager, f"witness-{len(witnesses)}", directory, 1)
            await witness.turn()
            witnesses.append(witness)
            report.recoveries.append(time.monotonic() - before)
        over.set()
    return witnesses


async def _actors_left(runtime: str) -> list[str]:
    with suppress(TimeoutError):
        async with asyncio.timeout(GONE_S):
            while actor_names(f"{runtime}."):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.1)
    return actor_names(f"{runtime}.")


def _rows_left(store: Path) -> list[str]:
    """Rows of the sessions that were destroyed, once all that is to be forgotten has been.

    Housekeeping does that a little at a time; a day later it also forgets which commands there were.
    """
    with closing(open_backend(str(store))) as backend:
        while backend.purge(utc_now() + timedelta(hours=25)):
            pass
    with closing(sqlite3.connect(store / FILE_NAME)) as connection:
        counts = {
            table.name: connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
            for table in METADATA.sorted_tables
            if table is not META
        }
    return [f"{count} in {table}" for table, count in counts.items() if count]
