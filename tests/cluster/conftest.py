"""Boundary between these tests and Ray: one cluster of two raylets on this machine, and one runtime in it.

A test may take the worker node away; the next one that needs a worker gets another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from actors import PermissionPolicy, SessionConfig, SessionManager, Settings
from actors.cluster.links import actor_names
from tests.cluster.raylets import Raylets
from tests.cluster.sessions import Sessions
from tests.integration.processes import descendants, none_left
from tests.integration.runtimes import MODEL, runtime_name

HERE = Path(__file__).parent

GONE_S = 20.0
"""Ray's own processes need a few seconds to end on a loaded machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark = pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(mark, append=False)


@pytest.fixture(scope="session")
def raylets() -> Iterator[Raylets]:
    """The cluster; its worker comes with the first test that needs it."""
    before = descendants()
    made = Raylets()
    yield made
    left = actor_names("it-")
    started = descendants() - before
    made.shutdown()
    assert left == [], "actors of a runtime outlived it"
    assert none_left(started, GONE_S) == [], "processes outlived the cluster"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def manager(raylets: Raylets, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SessionManager]:
    """The runtime of all tests, started by a driver on the head node."""
    settings = Settings(
        runtime=runtime_name(),
        min_warm=2,
        spare_warm=0,
        max_resident=4,
        silence_s=5,
        idle_timeout_s=3600,
        workspace=str(tmp_path_factory.mktemp("workspace")),
    )
    manager = await SessionManager.with_persistence(MODEL, tmp_path_factory.mktemp("store"), settings=settings)
    yield manager
    await manager.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sessions(raylets: Raylets, manager: SessionManager) -> AsyncIterator[Sessions]:
    """Makes sessions on the worker node; they are destroyed at the end."""
    made = Sessions(manager, raylets, SessionConfig(permission_policy=PermissionPolicy.permissive()))
    yield made
    await made.destroy()
