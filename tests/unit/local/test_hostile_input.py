"""What nobody should send, and what nobody foresaw: refused at the edge or the end of one command, not of a session."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from mcp_types import CallToolResult

from actors import errors
from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.artifacts import GivenFile
from actors.domain.base import is_deep
from actors.domain.children import ChildSpec
from actors.domain.external_tasks import ExternalTaskResult
from actors.domain.forms import unfit
from actors.domain.lanes import LaneHandlerConfig, SessionQueueConfig, TaskHandlerMode
from actors.domain.llm import LlmConfig
from actors.domain.messages import (
    PARSE_ERROR,
    Base64Source,
    BlobSource,
    BlobTextBlock,
    ImageBlock,
    Message,
    Role,
    TextBlock,
    ToolUseBlock,
)
from actors.domain.policies import SessionLane
from actors.domain.records import Draft
from actors.domain.session import SessionConfig, SessionState
from actors.handle import SessionHandle
from actors.llm.answer import as_arguments
from actors.mcp.results import outcome_of
from actors.residency import supervisor
from actors.session import decide
from actors.session import plan as planning
from actors.session.projection import place
from actors.tools.bounding import small_metadata
from actors.tools.function import tool
from tests.unit.local.runtimes import (
    asking,
    calls,
    config,
    record_of,
    records,
    result_texts,
    runtime,
    says,
    script,
    session,
)
from tests.unit.session.world import World

_UNREADABLE = ("A" * 40_001, "not base64!", "\u00e9" * 40_000, "")


def _pictured(data: str, media_type: str = "image/png") -> Message:
    image = ImageBlock(source=Base64Source(media_type=media_type, data=data))
    return Message(role=Role.user, content=(TextBlock(text="look"), image))


@pytest.mark.parametrize("data", _UNREADABLE)
async def test_an_image_that_is_none_is_refused_wherever_it_comes_in(data: str) -> None:
    bad = _pictured(data)
    async with session(config(says("One."))) as handle:
        for give in (handle.generate, handle.send, handle.add_message):
            with pytest.raises(errors.InvalidRequest, match="image"):
                await give(bad)
        with pytest.raises(errors.InvalidRequest, match="image"):
            await handle.spawn_many([ChildSpec(prompt=bad)])
        with pytest.raises(errors.InvalidRequest, match="media_type"):
            await handle.send(_pictured("aGk=", "text/html"))

        assert (await handle.info()).head_seq == 1
        assert (await handle.generate(_pictured("aGk="))).text == "One."


async def test_a_worker_that_sends_an_image_that_is_none_is_told_so_and_may_try_again() -> None:
    external = SessionQueueConfig(lane_handlers={SessionLane.execute: LaneHandlerConfig(mode=TaskHandlerMode.external)})
    steps = (calls(("bash", {"command": "touch it"})), says("Done."))
    async with session(config(*steps, queue_config=external)) as handle:
        receipt = await handle.send("go")
        await record_of(handle, r.TaskOffered)
        (task,) = await handle.pending_external_tasks()
        for source in (
            {"type": "base64", "media_type": "image/png", "data": _UNREADABLE[0]},
            {"type": "blob", "media_type": "image/png", "digest": "0" * 64, "size": 3},
        ):
            result: dict[str, Any] = {"output": "x", "images": [{"type": "image", "source": source}]}
            with pytest.raises(errors.InvalidRequest, match=r"result\.images"):
                await handle.complete_external_task(task.task_id, ExternalTaskResult(success=True, result=result))
        await handle.complete_external_task(task.task_id, ExternalTaskResult(success=True, result={"output": "x"}))

        assert (await handle.wait_turn(receipt)).text == "Done."


@pytest.mark.parametrize(
    "block",
    [
        BlobTextBlock(digest="0" * 64, size=5),
        ImageBlock(source=BlobSource(media_type="image/png", digest="0" * 64, size=3)),
    ],
)
async def test_a_message_from_outside_does_not_name_content_that_the_store_has(block: Any) -> None:
    message = Message(role=Role.user, content=(TextBlock(text="x"), block))
    async with session(config(says("One."))) as handle:
        for give in (handle.generate, handle.add_message):
            with pytest.raises(errors.InvalidRequest, match="send the text or the image itself"):
                await give(message)
        with pytest.raises(errors.InvalidRequest, match="send the text or the image itself"):
            await handle.spawn_many([ChildSpec(prompt=message)])

        assert (await handle.generate("go")).text == "One."


@pytest.mark.parametrize("seconds", ["0.01", 0.01])
async def test_a_model_that_writes_the_seconds_of_its_sleep_as_a_text_is_understood(seconds: object) -> None:
    async with session(config(calls(("sleep", {"seconds": seconds})), says("Done."))) as handle:
        assert (await handle.generate("go")).text == "Done."
        assert result_texts(await handle.history()) == ["Slept for 0.01 s."]


async def test_a_title_with_control_characters_is_shown_without_them_and_can_be_read_back() -> None:
    model = script(says("One."), title={"text": "evil \x1b[31m\x00 title\u2028here"})
    async with session(SessionConfig(model=model)) as handle:
        await handle.generate("go")
        assert await handle.generate_title() == "evil [31m title here"
        await handle.snapshot()
        await handle.hibernate()

        assert (await handle.generate("go on")).text == "One."
        assert (await handle.config()).name == "evil [31m title here"


def test_a_name_that_a_journal_has_is_read_without_what_cannot_be_shown() -> None:
    world = World()
    renamed = Draft(r.SessionRenamed, r.SessionRenamed.Data(name="a\x1b b"))
    state, _ = place(world.state, renamed, now=world.now, epoch=1)
    assert state.config.name == "a b"


async def test_a_title_of_nothing_that_can_be_shown_is_none() -> None:
    async with session(SessionConfig(model=script(says("One."), title={"text": "\x1b\x00"}))) as handle:
        await handle.generate("go")
        assert await handle.generate_title() is None
        assert (await handle.info()).name == ""


async def test_text_of_a_tool_that_is_no_unicode_ends_its_call_and_not_its_session() -> None:
    @tool(effect="pure")
    def half() -> str:
        """Give half of a character."""
        return "half \ud800"

    async with session(config(calls(("half", {})), says("Done.")), half) as handle:
        assert (await handle.generate("go")).text == "Done."
        assert (await handle.info()).epoch == 1


async def test_a_command_that_fails_by_a_defect_is_refused_and_the_others_are_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("nobody thought of that")

    monkeypatch.setitem(decide._DECIDERS, c.Clear, broken)  # pyright: ignore[reportPrivateUsage] - there is no defect to use
    async with session(config(says("One."))) as handle:
        await handle.generate("go")
        told = await asyncio.gather(
            handle.add_message("before"), handle.clear(), handle.add_message("after"), return_exceptions=True
        )
        assert [type(one) for one in told] == [int, errors.InternalError, int]
        with pytest.raises(errors.InternalError, match="RuntimeError"):
            await handle.clear()

        assert (await handle.info()).epoch == 1, "it is the activation that was there before"
        assert len(await records(handle, r.MessageAdded)) == 2


async def test_a_session_that_fails_whatever_it_is_told_is_taken_out_of_service_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = planning.next_effects

    def broken(state: Any, around: Any) -> Any:
        if state.turn is not None:
            raise ZeroDivisionError("in the core")
        return whole(state, around)

    async with runtime() as manager:
        handle = await manager.create_session("s", config(says("One.", delay_s=60)))
        other = await manager.create_session("other", config(says("Two.")))
        await handle.send("go")
        await record_of(handle, r.ModelCallStarted)
        await _broken(handle, broken, monkeypatch)

        failed = await record_of(handle, r.SessionError)
        assert failed.data.code == "crash_loop"
        assert "ZeroDivisionError" in failed.data.message
        assert (await handle.info()).state is SessionState.error
        monkeypatch.setattr(planning, "next_effects", whole)
        assert (await other.generate("go")).text == "Two."


async def _broken(handle: SessionHandle, broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the core, and have the session look at itself; whoever asked is told of the defect, once."""
    monkeypatch.setattr(supervisor, "RETRY_S", 0.001)
    monkeypatch.setattr(planning, "next_effects", broken)
    with pytest.raises(errors.InternalError, match="ZeroDivisionError"):
        await handle.add_message("look")


_HALF = "\ud800"


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("value", [{"a": _HALF}, {_HALF: 1}, *map(_nested, (65, 190, 300, 900))])
async def test_what_could_not_be_written_or_read_again_is_refused_before(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="options have"):
        LlmConfig(provider="scripted", model="prompt", options=value)
    used = Message(role=Role.assistant, content=(ToolUseBlock(id="a", name="x", input=value),))
    async with session(config(says("One."))) as handle:
        with pytest.raises(errors.InvalidRequest):
            await handle.add_message(used)
        with pytest.raises(errors.InvalidRequest):
            await handle.send("x", output_type={"type": "object", "default": value})
        assert (await handle.generate("go on")).text == "One."
    metadata = small_metadata({"x": value})
    assert "dropped" in metadata or json.loads(json.dumps(metadata, ensure_ascii=False).encode()) == metadata
    given = as_arguments(value)
    assert PARSE_ERROR in given or json.loads(json.dumps(given, ensure_ascii=False).encode()) == given
    assert (PARSE_ERROR in given) == ("dropped" in metadata) == is_deep(value)


@pytest.mark.parametrize("levels", [65, 150, 300])
async def test_what_decides_or_completes_is_as_shallow_as_what_else_comes_in(levels: int) -> None:
    deep = _nested(levels)
    with pytest.raises(ValueError, match="more than 64 levels"):
        ExternalTaskResult(success=True, result={"output": "x", "metadata": deep})
    async with session(asking(calls(("ls", {})), says("Done."))) as handle:
        receipt = await handle.send("go")
        action = (await record_of(handle, r.ActionRequested)).data
        with pytest.raises(errors.InvalidRequest, match="args: it has more than 64 levels"):
            await handle.resolve_action(action.action_id, "approve", args=deep)
        with pytest.raises(errors.InvalidRequest, match="content: it has more than 64 levels"):
            await handle.resolve_action(action.action_id, "approve", content=deep)
        await handle.resolve_action(action.action_id, "approve", args={"path": "."})

        assert (await handle.wait_turn(receipt)).text == "Done."


def test_what_a_server_gives_as_a_structure_is_kept_as_far_as_it_can_be_read_again() -> None:
    kept = outcome_of(CallToolResult(content=[], structured_content=_nested(64)))
    # The deepest that the SDK takes.
    deep = outcome_of(CallToolResult(content=[], structured_content=_nested(199)))

    assert kept.metadata == {"structured_content": _nested(64)}
    assert (deep.metadata, json.loads(deep.content)) == ({}, _nested(199))


@pytest.mark.parametrize("wrong", [{"data": "a"}, {"data": ""}, {"name": "a\nb"}, {"media_type": "a/b\r\nX: y"}])
def test_bytes_that_are_none_or_that_a_list_could_not_show_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GivenFile.model_validate({"name": "a", "media_type": "a/b", "data": "aGk=", **wrong})


def test_a_form_is_as_shallow_as_what_else_comes_in() -> None:
    assert unfit({"type": "object", "properties": {"a": {"type": "string", "examples": _nested(61)}}}) is None
    deep = unfit({"type": "object", "properties": {"a": {"type": "string", "examples": _nested(62)}}})
    assert deep == "it has more than 64 levels"


@pytest.mark.parametrize("price", ["1e-13", "1e-999999", "NaN"])
def test_a_price_that_nobody_could_write_down_is_refused(price: str) -> None:
    with pytest.raises(ValueError, match="price.input"):
        LlmConfig(provider="scripted", model="prompt", price={"input": price, "output": 0})  # pyright: ignore[reportArgumentType] - pydantic makes the price


def test_options_may_have_as_many_levels_as_are_said() -> None:
    assert LlmConfig(provider="scripted", model="prompt", options=_nested(64)).options == _nested(64)
