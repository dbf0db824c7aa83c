"""Sessions that come from others."""

from __future__ import annotations

from actors import SessionHandle, SessionManager
from benchmarks.figures import Figure, Unit, gone, new_id
from benchmarks.stats import p50, timed

CHILDREN = 64
FAMILIES = 5


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
