"""Tools that ask in the middle of their call: questions as actions, answers, and how the call goes on with them."""

from __future__ import annotations

import asyncio
import functools
import sys
from pathlib import Path
from typing import Any

import mcp
import pytest
from mcp_types import ElicitRequestFormParams

from actors.domain import records as r
from actors.domain.actions import Action, ActionKind, Resolution
from actors.domain.asking import MAX_FORM_CHARS, MAX_QUESTIONS, Answer, Resume
from actors.domain.calls import Outcome
from actors.domain.mcp import McpServerConfig
from actors.domain.records import MAX_RECORD_BYTES
from actors.domain.session import Activity
from actors.errors import ActionSettled, InvalidRequest
from actors.handle import SessionHandle
from actors.manager import SessionManager
from actors.mcp.definitions import Published
from actors.mcp.questions import question_of
from tests.unit.local.runtimes import calls, config, record_of, records, result_texts, runtime, says, types
from tests.unit.mcp.servers import ASKING, connected, raw, serving

BOOK = calls(("mcp__asking__book", {"seats": 2}))
DONE = says("Done.")


def asking(file: Path, **more: Any) -> McpServerConfig:
    """The server of the SDK."""
    return McpServerConfig.model_validate(
        {"name": "asking", "transport": "stdio", "command": sys.executable, "args": [ASKING, str(file)], **more}
    )


def ask(**args: Any) -> dict[str, Any]:
    return calls(("mcp__raw__ask", args))


async def question(session: SessionHandle, nth: int = 1) -> Action:
    """The ``nth`` thing that the session asks, once it asks nothing else and does nothing."""
    requested = await record_of(session, r.ActionRequested, count=nth)
    (action,) = await session.actions()
    assert (action.action_id, action.kind) == (requested.data.action_id, ActionKind.input)
    return action


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which protocol is spoken with servers of the SDK: 2026-07-28, or 2025-11-25."""
    monkeypatch.setattr("mcp.Client", functools.partial(mcp.Client, mode=request.param))
    return request.param


async def test_a_tool_that_asks_waits_for_people_and_goes_on_with_their_answers(tmp_path: Path, era: str) -> None:
    file = tmp_path / "booked"
    async with runtime() as manager:
        await manager.add_mcp_server(asking(file))
        one = await manager.create_session("a", config(BOOK, DONE))
        receipt = await one.send("go")
        first = await question(one)
        assert (first.tool, first.args["message"], first.args["mode"]) == ("mcp__asking__book", "Who comes?", "form")
        assert first.args["form"]["required"] == ["name"]
        assert (await one.info()).activity is Activity.requires_action
        with pytest.raises(InvalidRequest, match="less than 2 characters"):
            await one.resolve_action(first.action_id, "accept", content={"name": "A"})
        await one.resolve_action(first.action_id, "accept", content={"name": "Ada"})
        second = await question(one, 2)
        assert second.args["message"] == "Really Ada?"
        with pytest.raises(ActionSettled):
            await one.resolve_action(first.action_id, "decline")
        await one.resolve_action(second.action_id, "accept", content={"sure": True})
        assert (await one.wait_turn(receipt)).text == "Done."
        assert result_texts(await one.history()) == ["2 for Ada, 30"]
        assert file.read_text() == "Ada\n"
        required = await records(one, r.ToolCallInputRequired)
        assert [one.data.held for one in required] == [era == "legacy"] * 2
        assert [one.data.state is None for one in required] == [era == "legacy"] * 2
        effects = await one.effects()
        assert [effect.outcome for effect in effects] == [Outcome.input_required, Outcome.input_required, Outcome.ok]
        assert len({effect.call_id for effect in effects}) == 1


@pytest.mark.parametrize("character", ["x", "\U0001f600", '"'])
def test_all_questions_of_a_round_fit_into_one_record(character: str) -> None:
    form = {"type": "object", "properties": {"a": {"type": "string", "title": "y" * (MAX_FORM_CHARS - 80)}}}
    params = ElicitRequestFormParams(message=character * 10_000, requested_schema=form)
    questions = [question_of("k" * 128, params, ()) for _ in range(MAX_QUESTIONS)]

    assert questions[0].message.startswith(character * 1000)
    assert sum(len(one.model_dump_json().encode()) for one in questions) < MAX_RECORD_BYTES - 4096


async def test_cancelling_ends_a_call_that_nobody_holds_and_declining_is_told_to_its_tool(tmp_path: Path) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(asking(tmp_path / "booked"))
        one = await manager.create_session("a", config(BOOK, DONE))
        await one.send("go")
        await question(one)
        await one.cancel()
        await record_of(one, r.TurnCancelled)
        assert len(await records(one, r.ToolCallStarted)) == 1
        assert (await records(one, r.ToolCallCompleted))[0].data.outcome is Outcome.cancelled
        receipt = await one.send("go")
        action = await question(one, 2)
        with pytest.raises(InvalidRequest, match="Content"):
            await one.resolve_action(action.action_id, "decline", content={"name": "Ada"})
        with pytest.raises(InvalidRequest, match="Choose one of: accept, cancel, decline"):
            await one.resolve_action(action.action_id, "approve")
        await one.resolve_action(action.action_id, "decline")
        await one.wait_turn(receipt)
        assert result_texts(await one.history())[-1] == "nothing was booked: decline"


async def test_another_process_of_the_runtime_and_of_the_server_goes_on_with_a_call(tmp_path: Path) -> None:
    store, file = f"sqlite:///{tmp_path}/greenroom.db", tmp_path / "booked"
    async with await SessionManager.local(store=store) as manager:
        await manager.add_mcp_server(asking(file))
        one = await manager.create_session("a", config(BOOK, DONE))
        receipt = await one.send("go")
        action = await question(one)
        (required,) = await records(one, r.ToolCallInputRequired)
        assert required.data.state is not None and len(required.data.state) == 64, "what the server keeps is no event"
    async with await SessionManager.local(store=store) as manager:
        one = await manager.get_session("a")
        await one.resolve_action(action.action_id, "accept", content={"name": "Ada"})
        await one.resolve_action((await question(one, 2)).action_id, "accept", content={"sure": True})
        assert (await one.wait_turn(receipt)).text == "Done."
        assert file.read_text() == "Ada\n"


async def test_a_held_call_asks_again_and_again_up_to_a_bound(tmp_path: Path) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(str(tmp_path / "cancelled")))
        one = await manager.create_session("a", config(ask(times=11), DONE))
        receipt = await one.send("go")
        for nth in range(1, 11):
            await one.resolve_action((await question(one, nth)).action_id, "accept", content={"name": str(nth)})
        await one.wait_turn(receipt)
        assert "cancelled" in result_texts(await one.history())[0]
        assert (tmp_path / "cancelled").read_text() == "cancelled"


async def _told(file: Path) -> None:
    """The server hears of it while the session has gone on already; nothing but its file says so."""
    async with asyncio.timeout(30.0):
        while not await asyncio.to_thread(lambda: file.exists() and file.read_text() == "cancelled"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_cancelling_the_turn_withdraws_the_question_and_tells_the_server_of_a_held_call(tmp_path: Path) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(str(tmp_path / "cancelled")))
        one = await manager.create_session("a", config(ask(), DONE))
        await one.send("go")
        action = await question(one)
        await one.cancel()
        await record_of(one, r.TurnCancelled)
        await _told(tmp_path / "cancelled")
        (settled,) = await one.actions(pending=False)
        assert (settled.action_id, settled.resolution) == (action.action_id, Resolution.cancelled)
        assert (await records(one, r.ToolCallCompleted))[0].data.outcome is Outcome.cancelled


async def test_a_call_that_a_shared_server_holds_for_a_session_ends_with_it(tmp_path: Path) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(str(tmp_path / "cancelled")))
        one = await manager.create_session("a", config(ask(), DONE))
        await one.send("go")
        await question(one)
        assert await one.hibernate()

        await manager.destroy_session("a")

        await _told(tmp_path / "cancelled")


async def test_a_question_that_nobody_answers_is_cancelled_when_its_time_is_over() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(answer_within_s=0.01))
        one = await manager.create_session("a", config(ask(), DONE))
        await one.generate("go")
        assert result_texts(await one.history()) == ['[{"action": "cancel"}]']
        (resolved,) = await records(one, r.ActionResolved)
        assert (resolved.data.resolution, resolved.data.by) == (Resolution.cancel, "timeout")


async def test_a_held_call_whose_server_has_gone_fails_and_says_that_it_may_have_taken_effect() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw())
        one = await manager.create_session("a", config(ask(), calls(("mcp__raw__ask", {"times": 1})), DONE))
        other = await manager.create_session("b", config(calls(("mcp__raw__crash", {})), DONE))
        receipt = await one.send("go")
        action = await question(one)
        await other.generate("crash it")
        await one.resolve_action(action.action_id, "accept", content={"name": "Ada"})
        action = await question(one, 2)
        await one.resolve_action(action.action_id, "accept", content={"name": "Bob"})
        await one.wait_turn(receipt)
        texts = result_texts(await one.history())
        assert "may or may not have taken effect" in texts[0]
        assert texts[1] == '[{"action": "accept", "content": {"name": "Bob"}}]'


async def test_a_held_call_gets_its_answer_when_its_tool_is_not_listed_any_more() -> None:
    async with connected(raw()) as server:
        call = server.tool_call("ask")
        asked = await server.execute(call)
        assert asked.asked is not None and asked.asked.held
        server.connection.listing.published = Published()

        answer = Answer(key=asked.asked.questions[0].key, action="accept", content={"name": "Ada"})
        again = call.model_copy(update={"attempt": 2, "resume": Resume(held=True, answers=(answer,))})
        assert "Ada" in (await server.execute(again)).content


async def test_a_held_call_is_in_doubt_when_whoever_held_it_is_gone(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/greenroom.db"
    async with await SessionManager.local(store=store) as manager:
        await manager.add_mcp_server(raw())
        one = await manager.create_session("a", config(ask(), DONE))
        receipt = await one.send("go")
        action = await question(one)
    async with await SessionManager.local(store=store) as manager:
        one = await manager.get_session("a")
        await one.resolve_action(action.action_id, "accept", content={"name": "Ada"})
        doubt = await record_of(one, r.ActionRequested, count=2)
        assert doubt.data.kind is ActionKind.in_doubt
        await one.resolve_action(doubt.data.action_id, "retry")
        again = await question(one, 3)
        await one.resolve_action(again.action_id, "accept", content={"name": "Bob"})
        await one.wait_turn(receipt)
        assert result_texts(await one.history()) == ['[{"action": "accept", "content": {"name": "Bob"}}]']


async def test_a_page_to_visit_is_a_question_without_a_form(tmp_path: Path) -> None:
    page = {"mode": "url", "message": "Pay there.", "url": "https://pay.example/1", "elicitationId": "e"}
    async with runtime() as manager:
        await manager.add_mcp_server(raw(str(tmp_path / "visited")))
        one = await manager.create_session("a", config(ask(params=page), calls(("mcp__raw__visit", {})), DONE))
        receipt = await one.send("go")
        action = await question(one)
        assert (action.args["mode"], action.args["url"]) == ("url", "https://pay.example/1")
        await one.resolve_action(action.action_id, "accept")
        action = await question(one, 2)
        assert action.args["url"] == "https://in.example/"
        await one.resolve_action(action.action_id, "accept")
        await one.wait_turn(receipt)
        assert result_texts(await one.history()) == ['[{"action": "accept"}]', "visited"]


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"message": "x", "requestedSchema": {"type": "object", "properties": {"a": {"type": "object"}}}}, "neither"),
        ({"mode": "url", "message": "x", "url": "file:///etc/passwd", "elicitationId": "e"}, "http"),
        ({"mode": "url", "message": "x", "url": "https://bank.example@evil.example/", "elicitationId": "e"}, "plain"),
        (
            {"mode": "url", "message": "x", "url": "https://e.example/?k=canary-of-a-key", "elicitationId": "e"},
            "secret",
        ),
    ],
)
async def test_what_cannot_be_put_to_people_is_refused_to_the_server(params: dict[str, Any], why: str) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(env={"KEY": "canary-of-a-key"}))
        one = await manager.create_session("a", config(ask(params=params), DONE))
        await one.generate("go")
        assert why in result_texts(await one.history())[0]
        assert await one.actions(pending=False) == ()


async def test_a_question_is_shown_to_nobody_when_two_sessions_could_have_been_asked() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw())
        deaf = await manager.create_session("deaf", config(calls(("mcp__raw__deaf", {})), DONE))
        await deaf.send("go")
        await record_of(deaf, r.ToolCallStarted)
        one = await manager.create_session("a", config(ask(), DONE))
        await one.generate("go")
        assert "cannot be told which" in result_texts(await one.history())[0]
        await deaf.cancel()


async def test_the_journal_tells_the_question_before_anybody_is_asked_and_the_answer_before_it_is_delivered() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw())
        one = await manager.create_session("a", config(ask(), DONE))
        receipt = await one.send("go")
        await one.resolve_action((await question(one)).action_id, "accept", content={"name": "Ada"})
        await one.wait_turn(receipt)
        assert [kind for kind in await types(one) if kind.startswith(("tool", "action"))] == [
            "tool.call.started",
            "tool.call.input_required",
            "action.requested",
            "action.resolved",
            "tool.call.started",
            "tool.call.completed",
        ]


async def test_a_paused_session_takes_the_answer_and_goes_on_with_the_call_once_it_is_resumed() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw())
        one = await manager.create_session("a", config(ask(), DONE))
        receipt = await one.send("go")
        action = await question(one)
        await one.pause()
        await one.resolve_action(action.action_id, "accept", content={"name": "Ada"})
        await record_of(one, r.ActionResolved)
        assert len(await records(one, r.ToolCallStarted)) == 1
        await one.resume()
        await one.wait_turn(receipt)
        assert result_texts(await one.history()) == ['[{"action": "accept", "content": {"name": "Ada"}}]']


async def test_a_fork_leaves_the_question_to_its_source() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw())
        one = await manager.create_session("a", config(ask(), DONE))
        receipt = await one.send("go")
        action = await question(one)
        fork = await manager.fork_session("a", "b")
        assert await fork.actions() == ()
        assert "unknown" in result_texts(await fork.history())[0]
        await one.resolve_action(action.action_id, "accept", content={"name": "Ada"})
        assert (await one.wait_turn(receipt)).text == "Done."


async def test_a_question_of_a_child_s_tool_is_asked_and_answered_at_the_root() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw())
        root = await manager.create_session("root", config(DONE))
        child = await manager.create_child_session("root", "kid", config(ask(), DONE))
        receipt = await child.send("go")
        await question(child)
        (action,) = await root.actions()
        assert (action.session_id, action.kind) == ("kid", ActionKind.input)
        await root.resolve_action(action.action_id, "accept", content={"name": "Ada"})
        assert (await child.wait_turn(receipt)).text == "Done."


async def test_calls_of_a_batch_ask_side_by_side() -> None:
    one_call = {"tool": "mcp__raw__ask", "args": {}}
    async with runtime() as manager:
        await manager.add_mcp_server(raw())
        one = await manager.create_session("a", config(calls(("batch", {"invocations": [one_call, one_call]})), DONE))
        receipt = await one.send("go")
        await record_of(one, r.ActionRequested, count=2)
        for nth, action in enumerate(await one.actions()):
            await one.resolve_action(action.action_id, "accept", content={"name": str(nth)})
        await one.wait_turn(receipt)
        text = result_texts(await one.history())[0]
        assert '"name": "0"' in text and '"name": "1"' in text


async def test_over_http_each_session_is_asked_what_its_own_call_asks(tmp_path: Path, era: str) -> None:
    async with runtime() as manager:
        with serving(ASKING, str(tmp_path / "booked")) as url:
            given = {"name": "asking", "transport": "streamable-http", "url": url}
            await manager.add_mcp_server(McpServerConfig.model_validate(given))
            both = [await manager.create_session(name, config(BOOK, DONE)) for name in ("Ada", "Bob")]
            receipts = [await one.send("go") for one in both]
            questions = [await question(one) for one in both]
            assert await both[0].hibernate() is True
            for one, action in zip(both, questions, strict=True):
                await one.resolve_action(action.action_id, "accept", content={"name": one.session_id})
            for one in both:
                action = await question(one, 2)
                assert action.detail == f"Really {one.session_id}?", era
                await one.resolve_action(action.action_id, "accept", content={"sure": True})
            for one, receipt in zip(both, receipts, strict=True):
                await one.wait_turn(receipt)
                assert result_texts(await one.history()) == [f"2 for {one.session_id}, 30"]
