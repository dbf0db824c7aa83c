"""Forks of sessions that live in actors of their own."""

from __future__ import annotations

from collections.abc import Sequence

from actors import SessionConfig, SessionManager
from actors.manager_race import ForkResult
from tests.integration.crash_site import BOUND_S
from tests.integration.runtimes import NewId


async def test_alternatives_answer_in_their_actors_and_the_chosen_one_goes_on(
    manager: SessionManager, new_id: NewId
) -> None:
    name = new_id()
    source = await manager.create_session(name, SessionConfig(model="scripted/echo"))
    await source.generate("first", timeout=BOUND_S)
    then = (await source.info()).head_seq
    await source.generate("second", timeout=BOUND_S)
    before = await manager.session_count()

    def longest(results: Sequence[ForkResult]) -> int:
        return max(range(len(results)), key=lambda index: len(results[index].text))

    results = await manager.fork_many(name, ["a", "ccc", "bb"], at=then, join=longest, timeout=BOUND_S)

    assert [(one.text, one.kept) for one in results] == [("a", False), ("ccc", True), ("bb", False)]
    assert await manager.session_count() == before + 1
    (kept,) = [await manager.get_session(one.session_id) for one in results if one.kept]
    await manager.rewind_session(name, then)
    assert await manager.purge_session(name)

    assert (await kept.generate("last", timeout=BOUND_S)).text == "last"
    assert [message.text for message in await kept.history()] == ["first", "first", "ccc", "ccc", "last", "last"]
    assert await manager.destroy_session(kept.session_id)
