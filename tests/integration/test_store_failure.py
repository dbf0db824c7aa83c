"""Stores that really fail under a running service: nothing acknowledged is lost, and they heal by themselves."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from actors.domain.session import StorageType
from actors.errors import StoreInUse
from actors.storage.open import open_backend
from actors.storage.verify import Verification
from tests.disks import small_disk
from tests.integration.crash_site import BOUND_S
from tests.integration.runtimes import MakeRuntime
from tests.integration.talking import assert_costs_nothing_but_time
from tests.postgres import PASSWORD, started_server


async def test_a_disk_that_is_full_for_a_while_costs_nothing_but_time(
    fresh_runtime: MakeRuntime, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        manager = await fresh_runtime(directory=disk.path / "store", min_warm=2, activation_wait_s=BOUND_S)
        try:
            await assert_costs_nothing_but_time(manager, tmp_path, disk.fill, disk.free)
        finally:
            await manager.close()


async def test_a_database_server_that_is_killed_and_started_again_costs_nothing_but_time(
    fresh_runtime: MakeRuntime, tmp_path: Path
) -> None:
    with closing(started_server()) as servers:
        server = next(servers)
        manager = await fresh_runtime(store=server.url(), min_warm=2, activation_wait_s=BOUND_S)
        try:
            await assert_costs_nothing_but_time(manager, tmp_path, server.kill, server.start_again)

            with pytest.raises(StoreInUse):
                await asyncio.to_thread(open_backend, server.url())
            assert [one.kind for one in await manager.store_health()] == [StorageType.custom]
            assert PASSWORD not in str(await manager.runtime_status())
        finally:
            await manager.close()
        assert [str(finding) for finding in Verification(server.url())] == []
