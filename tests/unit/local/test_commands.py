"""Commands that are given twice, handles that outlive their session, configuration, children."""

from __future__ import annotations

import asyncio

import pytest

from actors.domain import records as r
from actors.domain.llm import LlmConfig
from actors.errors import CommandConflict, InvalidRequest, SessionExists, SessionNotFound, UnknownProvider
from tests.unit.local.runtimes import config, records, runtime, says, session


async def test_the_same_command_given_twice_is_one_turn() -> None:
    async with session(config(says("Once."))) as one:
        both = await asyncio.gather(*[one.generate("go", command_id="key") for _ in range(5)])
        assert {result.text for result in both} == {"Once."}
        assert len({result.turn_id for result in both}) == 1
        assert (await one.info()).turns == 1
        with pytest.raises(CommandConflict):
            await one.generate("something else", command_id="key")


async def test_the_same_command_is_one_turn_across_hibernation() -> None:
    async with session(config(says("Once."))) as one:
        first = await one.send("go", command_id="key")
        assert (await one.wait_turn(first)).text == "Once."
        assert await one.hibernate()
        assert await one.send("go", command_id="key") == first
        assert (await one.generate("go", command_id="key")).text == "Once."
        assert await one.hibernate()
        with pytest.raises(CommandConflict):
            await one.send("something else", command_id="key")
        assert (await one.info()).turns == 1


async def test_a_refused_command_may_be_given_again_when_things_are_different() -> None:
    async with session(config(says("Yes."))) as one:
        await one.pause()
        with pytest.raises(Exception, match="paused"):
            await one.generate("go", command_id="key")
        await one.resume()
        assert (await one.generate("go", command_id="key")).text == "Yes."


async def test_a_command_id_that_is_none_is_refused() -> None:
    async with session(config(says("Yes."))) as one:
        for key in ("", "x" * 129, "ümlaut", "two\nlines"):
            with pytest.raises(InvalidRequest):
                await one.send("go", command_id=key)


async def test_an_old_handle_to_an_id_that_is_used_again_finds_nothing() -> None:
    async with runtime() as manager:
        old = await manager.create_session("s", config(says("Old.")))
        receipt = await old.send("go")
        assert await manager.destroy_session("s")
        new = await manager.create_session("s", config(says("New.")))
        assert new.journal_id != old.journal_id
        for used in (old.generate("go"), old.info(), old.history(), old.clear(), old.wait_turn(receipt)):
            with pytest.raises(SessionNotFound):
                await used
        with pytest.raises(SessionNotFound):
            await new.wait_turn(receipt)
        assert (await new.generate("go")).text == "New."


async def test_destroying_a_session_that_is_not_there_is_no_error() -> None:
    async with runtime() as manager:
        assert not await manager.destroy_session("nobody")
        with pytest.raises(SessionNotFound):
            await manager.get_session("nobody")


async def test_changes_of_configuration_are_seen_at_once_and_after_hibernation() -> None:
    async with session(config(says("Yes."))) as one:
        await one.configure(name="A name", thinking=True, budget=2048, model_config="scripted/echo")
        await one.set_system_prompt("be brief")
        for _ in range(2):
            now = await one.config()
            assert (now.name, now.thinking_enabled, now.thinking_budget) == ("A name", True, 2048)
            assert (now.system_prompt, now.model) == ("be brief", LlmConfig.of("scripted/echo"))
            assert (await one.generate("parrot")).text == "parrot"
            assert await one.hibernate()
        await one.set_system_prompt(None)
        assert (await one.config()).system_prompt is None
        assert (await one.info()).name == "A name"


async def test_a_configuration_that_is_not_valid_is_refused_and_changes_nothing() -> None:
    async with session(config(says("Yes."))) as one:
        with pytest.raises(InvalidRequest):
            await one.configure(budget=1)
        with pytest.raises(UnknownProvider):
            await one.configure(model_config="nobody/model")
        assert not await records(one, r.SessionConfigured)
        assert (await one.generate("go")).text == "Yes."


async def test_setting_what_is_set_already_writes_nothing() -> None:
    async with session(config(says("Yes."), name="same")) as one:
        await one.configure(name="same")
        assert not await records(one, r.SessionConfigured)


async def test_a_child_takes_from_its_parent_what_it_does_not_name() -> None:
    async with runtime() as manager:
        parent = await manager.create_session("parent", config(says("Yes.")))
        child = await manager.create_child_session("parent", "child")
        assert (await child.generate("go")).text == "Yes."
        info = await child.info()
        assert (info.parent_id, info.parent_journal_id) == ("parent", parent.journal_id)
        assert await manager.get_child_sessions("parent") == ["child"]
        assert await manager.is_child_session("child")
        assert not await manager.is_child_session("parent")
        with pytest.raises(SessionExists):
            await manager.create_child_session("parent", "child")
        assert len(await records(parent, r.ChildStarted)) == 1
        assert (await parent.generate("go")).text == "Yes."


async def test_a_session_is_served_by_hibernated_and_resident_state_alike() -> None:
    async with session(config(says("Yes."))) as one:
        await one.generate("one")
        before = await one.history()
        assert await one.hibernate()
        assert await one.history() == before
        assert (await one.generate("two")).messages[:2] == before
        assert (await one.info()).epoch == 2
