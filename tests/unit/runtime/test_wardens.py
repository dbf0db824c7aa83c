"""The store's watch over the registry: silence is counted in questions, and only after the first."""

from __future__ import annotations

import asyncio

from actors.residency.vigil import RegistryWarden, Silence


async def test_a_registry_that_falls_silent_is_started_again_and_one_that_speaks_is_not() -> None:
    restarted: asyncio.Queue[str] = asyncio.Queue()
    warden = RegistryWarden(restarted.put)
    warden.hear("the registry", 1, 0.06)
    try:
        for _ in range(30):
            warden.hear("the registry", 1, 0.06)
            await asyncio.sleep(0)
        assert restarted.empty()

        assert await asyncio.wait_for(restarted.get(), 5) == "the registry"
    finally:
        warden.close()


def questions_until_restart(silence: Silence) -> int:
    asked = 1
    while not silence.too_long(heard=False):
        asked += 1
    silence.restarted()
    return asked


def test_a_registry_that_is_slow_to_come_up_is_given_longer_each_time_until_it_speaks() -> None:
    silence = Silence()
    first, second, third = (questions_until_restart(silence) for _ in range(3))
    assert (second, third) == (2 * first, 4 * first)

    assert not silence.too_long(heard=True)

    assert questions_until_restart(silence) == first


def test_a_registry_that_never_comes_up_is_tried_again_for_ever() -> None:
    silence = Silence()
    waits = [questions_until_restart(silence) for _ in range(8)]
    assert waits[-1] == waits[-2] == 16 * waits[0]
