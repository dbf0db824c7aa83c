"""What sessions take: memory while they are resident, disk while they are not, and what many of them slow down."""

from __future__ import annotations

import os
from typing import Any

import ray

from actors import SessionHandle, SessionManager
from actors.cluster.launch import MAX_CONCURRENCY
from benchmarks.calibration import calibrate
from benchmarks.database import database, empty, fill, number, size
from benchmarks.figures import Figure, Unit, gone, new_id
from benchmarks.processes import pids, private_bytes
from benchmarks.stats import each_timed, p50

TURNS = 100
FEW = 1000
WAKES = 100
PAGES = 100
ASLEEP = 200
MEGABYTE = 1024 * 1024


async def journal(manager: SessionManager) -> list[Figure]:
    """Bytes of a journal after 100 turns, and after 200."""
    session = await manager.create_session(new_id("journal"))
    bytes_of = "SELECT sum(length(body)) FROM records WHERE journal_id = ?"
    with database(manager) as connection:
        for _ in range(TURNS):
            await session.generate("hello")
        half = number(connection, bytes_of, session.journal_id)
        for _ in range(TURNS):
            await session.generate("hello")
        whole = number(connection, bytes_of, session.journal_id)
    await gone(manager, [session])
    return [
        Figure("journal of a turn", whole / (2 * TURNS), Unit.bytes),
        Figure(f"journal of {2 * TURNS} turns to that of {TURNS}", whole / half, Unit.ratio, most=2.2),
    ]


class Bare:
    """An actor that does nothing."""

    async def pid(self) -> int:
        """Its process."""
        return os.getpid()

    async def ping(self) -> None:
        """Answer."""


async def memory(manager: SessionManager) -> list[Figure]:
    """A session actor with a session that has had turns, beside a plain Ray actor."""
    bare: Any = ray.remote(Bare).options(num_cpus=0, max_concurrency=MAX_CONCURRENCY).remote()
    # Ray keeps something of each call: both get the same number of them.
    await calibrate(bare)
    plain = private_bytes(await bare.pid.remote())
    session = await manager.create_session(new_id("resident"))
    for _ in range(20):
        await session.generate("hello")
    actor: Any = (await session.resolve()).actor
    await calibrate(actor)
    more = private_bytes(await actor.pid.remote()) - plain
    ray.kill(bare)
    await gone(manager, [session])
    return [
        Figure("a bare Ray actor, private memory", plain / MEGABYTE, Unit.megabytes),
        Figure("a resident session actor above it", more / MEGABYTE, Unit.megabytes, most=25),
    ]


async def dormant(manager: SessionManager, many: int) -> list[Figure]:
    """What sessions cost that nobody uses, and what many of them cost those that somebody uses."""
    runtime = manager.settings.runtime
    (registry,) = await pids(runtime, "registry")
    processes = set(await pids(runtime))
    with database(manager) as connection:
        empty(connection)
        before, kept = size(connection), private_bytes(registry)
        sessions = await manager.create_sessions([new_id("asleep") for _ in range(FEW)])
        for session in sessions[:ASLEEP]:
            await session.add_message("hello")
            await session.hibernate()
        grown = size(connection) - before - _content(connection)
        figures = [
            Figure("processes of dormant sessions", len(set(await pids(runtime)) - processes), Unit.number, most=0),
            Figure("sessions the registry still knows", await _resident(manager), Unit.number, most=0),
            Figure("registry memory per dormant session", (private_bytes(registry) - kept) / FEW, Unit.bytes),
            Figure("disk of a dormant session beside its records", grown / FEW, Unit.bytes, most=1024),
        ]
        few = await _waking(sessions), await _listing(manager)
        fill(connection, sessions[-1].journal_id, many - FEW)
        after = await _waking(sessions), await _listing(manager)
    woken, listed = (more / less for more, less in zip(after, few, strict=True))
    return [
        *figures,
        Figure(f"activation among {many:,} dormant sessions to one among {FEW:,}", woken, Unit.ratio, most=2),
        Figure("a listed page, the same", listed, Unit.ratio, most=2),
    ]


def _content(connection: Any) -> int:
    newest = f"SELECT journal_id FROM sessions ORDER BY created_at DESC LIMIT {FEW}"
    tables = ("records", "snapshots")
    return sum(
        number(connection, f"SELECT sum(length(body)) FROM {table} WHERE journal_id IN ({newest})") for table in tables
    )


async def _resident(manager: SessionManager) -> int:
    return int((await manager.runtime_status())["resident"])


async def _waking(sessions: list[SessionHandle]) -> float:
    took: list[float] = []
    for session in sessions[:WAKES]:
        took += await each_timed([lambda session=session: session.configure(name="again")])
        await session.hibernate()
    return p50(took)


async def _listing(manager: SessionManager) -> float:
    return p50(await each_timed((lambda: manager.list_sessions(limit=100)) for _ in range(PAGES)))
