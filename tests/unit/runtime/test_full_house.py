"""A session finds no place for longer than its host keeps what came of its call: it is not run again."""

from __future__ import annotations

from actors.domain import records as r
from actors.domain.calls import CallKey, Outcome
from tests.unit.runtime.site import Site, open_site


async def _left_alone(site: Site) -> CallKey:
    """The session's process dies in a call, the call ends, and nobody comes while its host holds the outcome."""
    await site.began()
    await site.died()
    (started,) = await site.records(r.ToolCallStarted)
    key = CallKey(call_id=started.data.call_id, attempt=started.data.attempt)
    site.end.set()
    await site.kept(key)
    return key


async def _went_on(site: Site, key: CallKey) -> None:
    await site.activated()
    assert (await site.record(r.TurnCompleted)).data.text == "Done."
    (completed,) = await site.records(r.ToolCallCompleted)
    assert (completed.data.call_id, completed.data.outcome) == (key.call_id, Outcome.ok)
    assert completed.data.content == "done after all"
    assert len(await site.records(r.ToolCallStarted)) == site.ran == 1
    await site.kept()


async def test_what_its_host_has_written_down_is_used() -> None:
    async with open_site() as site:
        await _went_on(site, await _left_alone(site))


async def test_it_is_used_though_the_host_has_gone_too() -> None:
    async with open_site() as site:
        key = await _left_alone(site)
        await site.hosts_replaced()
        await _went_on(site, key)


async def test_who_died_again_and_again_before_a_place_came_uses_it_once() -> None:
    async with open_site() as site:
        key = await _left_alone(site)
        for _ in range(3):
            await site.activated()
            await site.died()
        await _went_on(site, key)
