"""The store's watch over the registry: silence is counted in questions, and only after the first."""

from __future__ import annotations

import asyncio

from actors.residency.vigil import RegistryWarden


async def test_a_registry_that_falls_silent_is_started_again_and_one_that_speaks_is_not() -> None:
    restarted: asyncio.Queue[str] = asyncio.Queue()
    warden = RegistryWarden(restarted.put)
    warden.hear("the registry", 0.06)
    try:
        for _ in range(30):
            warden.hear("the registry", 0.06)
            await asyncio.sleep(0)
        assert restarted.empty()

        assert await asyncio.wait_for(restarted.get(), 5) == "the registry"
    finally:
        warden.close()
