"""One round: a runtime of its own, users, faults, and what is left of them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from actors import SessionManager, Settings
from tests.chaos import invariants
from tests.chaos.asking import until_sure
from tests.chaos.clerk import Clerk
from tests.chaos.count import count
from tests.chaos.faults import Faults
from tests.chaos.fire import under_fire
from tests.chaos.load import User
from tests.chaos.mcp_servers import over_http, over_stdio
from tests.chaos.node import WorkerNode
from tests.chaos.plan import NODE_TARGETS, SILENCE_S, TARGETS
from tests.chaos.prompts import OWN, TOOLS, UNSAFE, WEB
from tests.chaos.remains import remains
from tests.chaos.report import Report
from tests.chaos.worker import Worker

GIVEN = tuple(f"tests.chaos.given_tools:{TOOLS[kind]}" for kind in ("once", "again", "slow"))

STORE = "store"
"""Directory of the database, below that of the round."""

USERS = 6

PLACES = {False: (4, 1), True: (2, 2)}
"""Session actors, and sessions in each, plain and dense: fewer than users, so that some hibernate all the time."""


async def run(
    directory: Path, pipes: Path, *, seed: int, faults: int, dense: bool, node: WorkerNode | None = None
) -> Report:
    """Do so many faults under load; Ray has been started.

    Args:
        directory: Where everything of this round is kept.
        pipes: Where the processes can be armed.
        dense: Whether several sessions share a process.
        node: The worker of Ray's cluster, which is hit too.
    """
    report = Report(seed)
    began = time.monotonic()
    actors, sessions = PLACES[dense]
    settings = Settings(
        runtime=f"chaos-{secrets.token_hex(4)}",
        min_warm=2,
        max_resident=actors,
        sessions_per_actor=sessions,
        idle_timeout_s=1.0,
        silence_s=SILENCE_S,
        workspace=str(directory),
    )
    store = directory / STORE
    manager = await SessionManager.with_persistence("scripted/prompt", store, settings=settings, tools=GIVEN)
    try:
        if node is not None:
            await node.start()
        async with over_http(WEB, directory) as server:
            await until_sure(lambda: manager.add_mcp_server(server))
            present = await _users(manager, directory, seed)
            killer = Faults(seed, pipes, directory, among=TARGETS if node is None else NODE_TARGETS, node=node)
            present += await _under_fire(manager, present, killer, faults, directory, report)
            await count(present, UNSAFE, directory, store, report)
            await _destroy(manager, present, report)
            await manager.remove_mcp_server(WEB)
    finally:
        await manager.close()
    report.violations += invariants.nothing_left(await remains(settings.runtime, store, directory))
    report.seconds = time.monotonic() - began
    return report


async def _users(manager: SessionManager, directory: Path, seed: int) -> list[User]:
    """The first has an MCP server of its own."""
    own = over_stdio(OWN, directory)
    return [await User.enter(manager, f"user-{n}", directory, seed + n, own if n == 0 else None) for n in range(USERS)]


async def _under_fire(
    manager: SessionManager, present: Sequence[User], killer: Faults, faults: int, directory: Path, report: Report
) -> list[User]:
    """Others decide meanwhile what sessions ask, and do what they hand out, each a driver that joined."""
    async with (
        await SessionManager.connect(settings=manager.settings) as at_desk,
        await SessionManager.connect(settings=manager.settings) as outside,
    ):
        clerk, worker = Clerk(at_desk, report.seed), Worker(outside)
        async with asyncio.TaskGroup() as beside:
            others = [beside.create_task(clerk.work()), beside.create_task(worker.work())]
            witnesses = await under_fire(
                present, killer, faults, lambda name: User.enter(manager, name, directory, 1), report
            )
            for other in others:
                other.cancel()
    report.decided, report.outside = clerk.decided, len(worker.done)
    return witnesses


async def _destroy(manager: SessionManager, users: Sequence[User], report: Report) -> None:
    """Destroy everybody: first those whom others were forked from."""
    before = [await user.forks() for user in users]
    for user in users:
        for one in (user.session, *user.kin.born):
            await manager.destroy_session(one.session_id)
    for user, forks in zip(users, before, strict=True):
        for was, now in zip(forks, await user.forks(), strict=True):
            report.violations += invariants.unchanged(was, now)
            await manager.destroy_session(was.session_id)
