"""Boundary between the integration tests and Ray: one small cluster per test process, and runtimes in it.

All tests of the directory run on one event loop, since a runtime belongs to the loop that started it. Whatever a test
started is gone at the end, and that is checked.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import ray

from actors import PermissionPolicy, SessionConfig, SessionManager, Settings
from actors.cluster.links import NAMESPACE, actor_names
from tests.integration.given_tools import count
from tests.integration.processes import descendants, none_left
from tests.integration.runtimes import MODEL, MakeRuntime, NewId, runtime_name
from tests.integration.waiting import until

HERE = Path(__file__).parent

OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""Smaller than Ray's default of a third of the memory; nothing large goes through it."""

CPUS = 4
"""What Ray believes in: our actors take none, so only its own pre-started workers count."""

RUNTIME_POLICY = PermissionPolicy(deny=["bash(curl:*)"])
"""What no session of the shared runtimes may do."""

TOOLS = (count, "tests.integration.given_tools:shout")
"""Further tools of the shared runtimes: a function, and the name of one."""

GONE_S = 20.0
"""Ray's own processes need a few seconds to end on a loaded machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark = pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(mark, append=False)


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Ray on this machine, on ports that are free."""
    before = descendants()
    ray.init(
        address="local",
        num_cpus=CPUS,
        num_gpus=1,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        namespace=NAMESPACE,
    )
    yield
    left = actor_names("it-")
    started = descendants() - before
    ray.shutdown()
    assert left == [], "actors of a runtime outlived it"
    assert none_left(started, GONE_S) == [], "processes outlived the cluster"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def runtime(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SessionManager]:
    """The runtime that most tests share."""
    settings = Settings(
        runtime=runtime_name(),
        min_warm=2,
        spare_warm=0,
        max_resident=4,
        idle_timeout_s=3600,
        workspace=str(tmp_path_factory.mktemp("workspace")),
        permission_policy=RUNTIME_POLICY,
    )
    directory = tmp_path_factory.mktemp("store")
    manager = await SessionManager.with_persistence(MODEL, directory, settings=settings, tools=TOOLS)
    yield manager
    await manager.close()
    await until(lambda: not actor_names(f"{settings.runtime}."), what="actors outlived their runtime")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def local_runtime(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SessionManager]:
    """The same in this process, without Ray."""
    settings = Settings(
        runtime=runtime_name(),
        idle_timeout_s=3600,
        workspace=str(tmp_path_factory.mktemp("local")),
        permission_policy=RUNTIME_POLICY,
    )
    async with await SessionManager.local(MODEL, settings=settings, tools=TOOLS) as manager:
        yield manager


@pytest.fixture(params=["local", "ray"])
def manager(request: pytest.FixtureRequest) -> SessionManager:
    """Either: what holds for one holds for the other."""
    return request.getfixturevalue("runtime" if request.param == "ray" else "local_runtime")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def crashing(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SessionManager]:
    """One runtime for all crashes: each has to leave it as good as new."""
    settings = Settings(
        runtime=runtime_name(),
        min_warm=2,
        spare_warm=0,
        silence_s=3,
        idle_timeout_s=3600,
        workspace=str(tmp_path_factory.mktemp("workspace")),
    )
    tools = tuple(f"tests.integration.given_tools:{name}" for name in ("leave_mark", "take_host_along"))
    store = tmp_path_factory.mktemp("store")
    manager = await SessionManager.with_persistence(MODEL, store, settings=settings, tools=tools)
    yield manager
    await manager.close()


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_runtime(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MakeRuntime]:
    """Make runtimes: each has its own name, database and workspace."""
    made: list[SessionManager] = []

    async def make(
        *,
        llm: Any = MODEL,
        directory: Path | None = None,
        store: str | None = None,
        tools: tuple[Any, ...] = (),
        **settings: Any,
    ) -> SessionManager:
        defaults: dict[str, Any] = {
            "runtime": runtime_name(),
            "min_warm": 1,
            "spare_warm": 0,
            "max_resident": 4,
            "idle_timeout_s": 3600,
            "workspace": str(tmp_path_factory.mktemp("workspace")),
        }
        chosen = Settings(**(defaults | settings))
        url = store or str(directory or tmp_path_factory.mktemp("store"))
        manager = await SessionManager.with_store(llm, url, settings=chosen, tools=tools)
        made.append(manager)
        return manager

    yield make
    for one in reversed(made):
        await one.close()
    for one in made:
        await until(lambda name=one.settings.runtime: not actor_names(f"{name}."), what="actors outlived their runtime")


@pytest.fixture
def permissive() -> SessionConfig:
    """A session whose tools run unasked."""
    return SessionConfig(permission_policy=PermissionPolicy.permissive())


@pytest.fixture
def new_id() -> NewId:
    """Session ids that no other test uses."""
    return lambda: f"s-{secrets.token_hex(4)}"
