"""What tool calls did, read off the journal of a session that need not be awake."""

from __future__ import annotations

import pytest

from actors.domain.calls import Outcome
from actors.domain.tools import EffectClass
from actors.errors import InvalidRequest, SessionNotFound
from actors.tools.function import tool
from tests.unit.local.runtimes import calls, config, runtime, says


@tool(effect="idempotent")
async def put(name: str) -> str:
    """Put something down."""
    if name == "b":
        raise ValueError("no room")
    return name


async def test_effects_are_paged_without_waking_the_session() -> None:
    async with runtime(put) as manager:
        steps = config(calls(("put", {"name": "a"}), ("put", {"name": "b"}), ("put", {"name": "c"})), says("Done."))
        one = await manager.create_session("s", steps)
        await one.generate("go")
        assert await one.hibernate()

        whole = await manager.effects("s")
        assert [(effect.tool, effect.status, effect.outcome) for effect in whole] == [
            ("put", "settled", Outcome.ok),
            ("put", "settled", Outcome.error),
            ("put", "settled", Outcome.ok),
        ]
        assert {effect.effect for effect in whole} == {EffectClass.idempotent}
        first = await one.effects(limit=2)
        assert first + await one.effects(after=first[-1].seq) == whole
        assert (await one.resolve()).residency is None


async def test_what_is_not_a_page_of_a_session_is_refused() -> None:
    async with runtime() as manager:
        with pytest.raises(SessionNotFound):
            await manager.effects("nobody")
        await manager.create_session("s")
        with pytest.raises(InvalidRequest):
            await manager.effects("s", limit=0)
        with pytest.raises(InvalidRequest):
            await manager.effects("s", after=-1)
