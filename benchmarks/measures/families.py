"""Sessions that come from others."""

from __future__ import annotations

import asyncio

from actors import SessionHandle, SessionManager
from benchmarks.figures import Figure, Unit, gone, new_id
from benchmarks.stats import p50, timed

CHILDREN = 64
FAMILIES = 5
SHORT, LONG = 10, 10_000
"""Messages of the sessions that are forked."""

FORKS = 50
WRITERS = 32
"""Callers that fill a session at the same time: their messages share appends."""


async def children(manager: SessionManager) -> list[Figure]:
    """64 children are started, each answers its task, and the parent has been told of all the answers."""
    took: list[float] = []
    for _ in range(FAMILIES):
        parent = await manager.create_session(new_id("parent"))
        took.append(await timed(_family(parent)))
        for child in await manager.get_child_sessions(parent.session_id):
            await manager.destroy_session(child)
        await gone(manager, [parent])
    return [Figure(f"{CHILDREN} children spawned and answered", p50(took), Unit.seconds, most=350)]


async def _family(parent: SessionHandle) -> None:
    await parent.spawn_many([f"task {number}" for number in range(CHILDREN)])
    await parent.wait_children("all")


async def forks(manager: SessionManager) -> list[Figure]:
    """A fork at the head of an idle session, short or long, and the first command to such a fork."""
    short, long = [await _conversation(manager, messages) for messages in (SHORT, LONG)]
    forked: dict[str, list[float]] = {short.session_id: [], long.session_id: []}
    woken: dict[str, list[float]] = {short.session_id: [], long.session_id: []}
    for _ in range(FORKS):
        for source in (short, long):
            fork_id = new_id("fork")
            forked[source.session_id].append(await timed(manager.fork_session(source.session_id, fork_id)))
            woken[source.session_id].append(await timed(manager.configure(fork_id, name="woken")))
            await manager.destroy_session(fork_id)
    await gone(manager, [short, long])
    took = p50(forked[long.session_id])
    return [
        Figure(f"fork of {LONG:,} messages, p50", took, Unit.seconds),
        Figure(f"the same to one of {SHORT}", took / p50(forked[short.session_id]), Unit.ratio, most=2),
        Figure(f"waking a fork of {SHORT} messages, p50", p50(woken[short.session_id]), Unit.seconds),
        Figure(f"waking a fork of {LONG:,} messages, p50", p50(woken[long.session_id]), Unit.seconds),
    ]


async def _conversation(manager: SessionManager, messages: int) -> SessionHandle:
    session = await manager.create_session(new_id("source"))
    left = iter(range(messages))

    async def write() -> None:
        for number in left:
            await session.add_message(f"message {number}")

    await asyncio.gather(*(write() for _ in range(min(WRITERS, messages))))
    await session.hibernate()
    return session
