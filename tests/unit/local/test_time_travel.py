"""What a session was: read at any place of its journal, without a change to what it is."""

from __future__ import annotations

import pytest

from actors.domain import records as r
from actors.errors import InvalidRequest, SessionBusy
from tests.unit.local.runtimes import asking, calls, config, record_of, records, says, session


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


# --- rewinding -------------------------------------------------------------------------------------------------------


async def test_a_rewound_session_goes_on_from_what_the_model_saw_then() -> None:
    async with session(config(says("yes"), system_prompt="Be brief.")) as one:
        await one.generate("first", command_id="c")
        then = (await one.info()).head_seq
        await one.generate("second")
        await one.set_system_prompt("Be long.")
        turns, usage = (await one.info()).turns, (await one.info()).usage

        assert await one.rewind(then)
        assert [message.text for message in await one.history()] == ["first", "yes"]
        assert ((await one.info()).turns, (await one.info()).usage) == (turns, usage)
        assert (await one.config()).system_prompt == "Be long."
        assert (await one.generate("first", command_id="c")).text == "yes"
        await one.generate("third")
        assert [message.text for message in await one.history()] == ["first", "yes", "third", "yes"]
        assert len(await one.history(at=(await one.records(limit=1000))[-1].seq)) == 4


async def test_an_answer_that_waited_for_its_tools_then_is_left_out() -> None:
    async with session(config(calls(("ls", {}), text="Looking."), says("Done."))) as one:
        await one.generate("go")
        (answered, _) = await records(one, r.ModelCallCompleted)

        assert await one.rewind(answered.seq)
        assert [message.text for message in await one.history()] == ["go"]


async def test_the_same_rewind_is_made_once() -> None:
    async with session(config(says("yes"))) as one:
        await one.generate("first")
        then = (await one.info()).head_seq
        await one.generate("second")

        assert await one.rewind(then, command_id="k")
        await one.generate("third")
        assert await one.rewind(then, command_id="k")
        assert len(await one.history()) == 4
        assert not await one.rewind((await one.info()).head_seq)


async def test_what_was_cleared_or_rewound_does_not_come_back_but_can_be_forked() -> None:
    async with session(config(says("yes"))) as one:
        await one.generate("first")
        then = (await one.info()).head_seq
        await one.generate("second")
        later = (await one.info()).head_seq
        await one.rewind(then)

        with pytest.raises(InvalidRequest, match=f"fork the session at {later}"):
            await one.rewind(later)
        await one.clear()
        with pytest.raises(InvalidRequest, match="fork"):
            await one.rewind(then)
        with pytest.raises(InvalidRequest, match="1 to"):
            await one.rewind(1000)


async def test_a_session_in_the_middle_of_a_turn_is_not_rewound() -> None:
    async with session(asking(calls(("bash", {"command": "touch x"})), says("Done."))) as one:
        await one.send("go")
        await record_of(one, r.ActionRequested)

        with pytest.raises(SessionBusy):
            await one.rewind(1)
