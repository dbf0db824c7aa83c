"""What a session was: read at any place of its journal, without a change to what it is."""

from __future__ import annotations

import pytest

from actors.domain import records as r
from actors.errors import InvalidRequest
from tests.unit.local.runtimes import calls, config, records, says, session


async def test_the_conversation_is_read_as_it_was_after_each_turn() -> None:
    async with session(config(says("yes"))) as one:
        await one.generate("first")
        ends = [(await one.info()).head_seq]
        before = await one.history()
        await one.generate("second")
        await one.clear()

        assert await one.history(at=ends[0]) == before
        assert [message.text for message in before] == ["first", "yes"]
        assert len(await one.history(at=(await one.info()).head_seq - 1)) == 4
        assert await one.history() == ()


async def test_a_place_inside_a_turn_shows_what_the_model_had_said_by_then() -> None:
    async with session(config(calls(("ls", {}), text="Looking."), says("Done."))) as one:
        await one.generate("go")
        (answered, _) = await records(one, r.ModelCallCompleted)

        assert [message.text for message in await one.history(at=answered.seq)] == ["go", "Looking."]
        assert len(await one.history()) == 4


async def test_configuration_and_size_are_those_of_then() -> None:
    async with session(config(says("yes"), system_prompt="Be brief.")) as one:
        await one.generate("first")
        then = (await one.info()).head_seq
        used = await one.context_usage()
        await one.set_system_prompt("Be long.")
        await one.generate("second")

        assert ((await one.config(at=then)).system_prompt, await one.context_usage(at=then)) == ("Be brief.", used)
        assert ((await one.config()).system_prompt, (await one.context_usage()).turns) == ("Be long.", 4)


@pytest.mark.parametrize("at", [0, -1, 3])
async def test_a_place_that_the_journal_does_not_have_is_an_error(at: int) -> None:
    async with session(config(says("yes"))) as one:
        await one.add_message("by the way")

        with pytest.raises(InvalidRequest, match="1 to 2"):
            await one.history(at=at)


async def test_a_hibernating_session_is_read_without_waking_it() -> None:
    async with session(config(says("yes"))) as one:
        await one.generate("first")
        assert await one.hibernate()

        assert len(await one.history(at=(await one.info()).head_seq)) == 2
        assert (await one.resolve()).residency is None
