"""Tools that ask for a model's answer, and for the roots: under policy, in the ledger, within bounds, in both eras."""

from __future__ import annotations

import functools
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import mcp
import pytest

from actors import Budget, LlmConfig
from actors.domain import records as r
from actors.domain.actions import Action, ActionKind
from actors.domain.mcp import McpServerConfig
from actors.domain.messages import TokenUsage
from actors.domain.session import SessionConfig
from actors.errors import InvalidRequest, McpRefused
from actors.handle import SessionHandle
from actors.manager import SessionManager
from tests.unit.local.runtimes import config, record_of, records, result_texts, runtime, types
from tests.unit.mcp.servers import raw, serving

SAMPLING = str(Path(__file__).with_name("sampling_server.py"))
CANARY = "canary-of-a-secret"


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    """The server of the SDK."""
    with serving(SAMPLING) as there:
        yield there


def sampling(url: str, **more: Any) -> McpServerConfig:
    """How it is configured."""
    return McpServerConfig.model_validate({"name": "sampling", "transport": "http", "url": url, **more})


def twice(file: Path) -> str:
    """A prompt that has a tool ask a model twice."""
    return f"/tool mcp__sampling__twice {json.dumps({'file': str(file)})}\n/say Done."


def prompted(**values: Any) -> SessionConfig:
    """A session whose model does what the prompt says, also that of a tool."""
    return config(**values).model_copy(update={"model": LlmConfig.of("scripted/prompt")})


def asks(text: str = "/say four", times: int = 1, **params: Any) -> str:
    """A prompt that has the raw server ask for a model's answer."""
    body = {"messages": [{"role": "user", "content": {"type": "text", "text": text}}], "maxTokens": 50, **params}
    args = {"method": "sampling/createMessage", "times": times, "params": body}

    return f"/tool mcp__raw__ask {json.dumps(args)}\n/say Done."


async def question(session: SessionHandle, nth: int = 1) -> Action:
    """The ``nth`` thing that the session asks."""
    requested = await record_of(session, r.ActionRequested, count=nth)
    (action,) = await session.actions()
    assert action.action_id == requested.data.action_id
    return action


async def sampled(session: SessionHandle) -> list[r.ModelCallCompleted]:
    return [one for one in await records(session, r.ModelCallCompleted) if one.data.sampling is not None]


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which protocol is spoken with servers of the SDK: 2026-07-28, or 2025-11-25."""
    monkeypatch.setattr("mcp.Client", functools.partial(mcp.Client, mode=request.param))
    return request.param


async def test_a_model_answers_a_tool_and_its_calls_are_recorded_and_counted_and_not_said(
    url: str, tmp_path: Path, era: str
) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(sampling(url, sampling="allow"))
        one = await manager.create_session("a", prompted())
        result = await one.generate(twice(tmp_path / "file"))
        assert result_texts(result.messages) == ["one, two after one by prompt"]
        assert (result.text, (tmp_path / "file").read_text()) == ("Done.", "done\n")
        assert [len(result.messages), len(await one.history())] == [4, 4]
        required = await records(one, r.ToolCallInputRequired)
        wanted = [question.sampling for record in required for question in record.data.questions]
        assert [(one.max_tokens, one.system) for one in wanted if one] == [(1024, "Be brief."), (10, None)]
        assert [record.data.held for record in required] == [era == "legacy"] * 2
        took = [record.data.usage for record in await records(one, r.ModelCallCompleted)]
        assert (len(took), len(await sampled(one))) == (4, 2)
        assert result.usage == sum(took, TokenUsage())
        assert (await one.usage()).total.usage == result.usage
        kinds = [kind for kind in await types(one) if kind.startswith(("tool", "model", "action"))]
        assert kinds[2:7] == [
            "tool.call.started",
            "tool.call.input_required",
            "model.call.started",
            "model.call.completed",
            "tool.call.started",
        ]
        # Who reads along is not told a tool's conversation as the model's answer.
        told = [event async for event in one.events(after=0)]
        assert "one" not in "".join(getattr(event, "text", "") for event in told if event.type == "message.delta")


async def test_somebody_agrees_first_and_sees_what_is_asked(url: str, tmp_path: Path, era: str) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(sampling(url, sampling="ask"))
        one = await manager.create_session("a", prompted())
        receipt = await one.send(twice(tmp_path / "file"))
        action = await question(one)
        assert (action.kind, action.detail, action.args["mode"]) == (ActionKind.input, "/say one", "sampling")
        assert action.args["sampling"]["max_tokens"] == 1024
        assert action.args["sampling"]["messages"][0]["content"][0]["text"] == "/say one"
        with pytest.raises(InvalidRequest, match="Content"):
            await one.resolve_action(action.action_id, "accept", content={"text": "I am the model."})
        await one.resolve_action(action.action_id, "accept")
        second = await question(one, 2)
        assert second.detail == "/say two after one"
        await one.resolve_action(second.action_id, "decline", reason="too dear")
        await one.wait_turn(receipt)
        (text,) = result_texts(await one.history())
        assert "too dear" in text or era == "legacy"
        assert not (tmp_path / "file").exists()
        assert len(await sampled(one)) == 1


async def test_an_agreement_counts_in_another_process_of_everything(url: str, tmp_path: Path) -> None:
    store, file = f"sqlite:///{tmp_path}/greenroom.db", tmp_path / "file"
    async with await SessionManager.local(store=store) as manager:
        await manager.add_mcp_server(sampling(url, sampling="ask"))
        one = await manager.create_session("a", prompted())
        receipt = await one.send(twice(tmp_path / "file"))
        action = await question(one)
    async with await SessionManager.local(store=store) as manager:
        one = await manager.get_session("a")
        await one.resolve_action(action.action_id, "accept")
        await one.resolve_action((await question(one, 2)).action_id, "accept")
        assert (await one.wait_turn(receipt)).text == "Done."
        assert file.read_text() == "done\n"


async def test_without_a_word_in_its_configuration_a_server_gets_no_answer_of_a_model(url: str, tmp_path: Path) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(name="raw"))
        await manager.add_mcp_server(sampling(url))
        one = await manager.create_session("a", prompted())
        await one.generate(asks())
        await one.generate(twice(tmp_path / "file"))
        assert not await sampled(one) and await one.actions(pending=False) == ()
        assert all("one" not in text and "four" not in text for text in result_texts(await one.history()))


async def test_a_call_gets_as_many_answers_as_it_may_and_is_told_that_these_are_all() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(sampling="allow", sampling_limit=2))
        one = await manager.create_session("a", prompted())
        await one.generate(asks(times=3))
        (text,) = result_texts(await one.history())
        assert text.count('"text": "four"') == 2 and "one call may ask for 2 answers of a model" in text
        (refused,) = await records(one, r.ToolCallUnanswered)
        assert refused.data.key == "3" and len(await sampled(one)) == 2


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"tools": [{"name": "x", "inputSchema": {"type": "object"}}]}, "calls no tools"),
        ({"messages": [{"role": "user", "content": {"type": "image", "mimeType": "image/png", "data": ""}}]}, "texts"),
        ({"messages": []}, "0 messages"),
        ({"messages": [{"role": "user", "content": {"type": "text", "text": "x" * 60_000}}]}, "49152"),
        ({"maxTokens": -1}, "without a length"),
    ],
)
async def test_what_no_model_is_asked_is_refused_to_the_server(params: dict[str, Any], why: str) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(sampling="allow"))
        one = await manager.create_session("a", prompted())
        await one.generate(asks(**params))
        assert why in result_texts(await one.history())[0]
        assert not await sampled(one)


async def test_secrets_are_withheld_from_the_model_and_wishes_for_models_are_only_shown() -> None:
    hints = {"hints": [{"name": "the-dearest"}], "intelligencePriority": 1.0}
    async with runtime() as manager:
        await manager.add_mcp_server(raw(sampling="ask", env={"TOKEN": CANARY}))
        one = await manager.create_session("a", prompted())
        receipt = await one.send(asks("/say you know " + CANARY[:6] + CANARY[6:], modelPreferences=hints))
        action = await question(one)
        assert CANARY not in str(action.args) and action.args["sampling"]["hints"] == ["the-dearest"]
        await one.resolve_action(action.action_id, "accept")
        await one.wait_turn(receipt)
        (answer,) = await sampled(one)
        assert answer.data.model == "prompt" and CANARY not in answer.model_dump_json()


async def test_a_budget_that_is_used_up_holds_the_model_s_answer_to_a_tool() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(sampling="allow"))
        one = await manager.create_session("a", prompted(budget=Budget(tokens=1)))
        receipt = await one.send(asks())
        action = await question(one)
        assert action.kind is ActionKind.budget and not await sampled(one)
        await one.resolve_action(action.action_id, "approve", args={"tokens": 100_000})
        assert (await one.wait_turn(receipt)).text == "Done."
        assert len(await sampled(one)) == 1


async def test_cancelling_the_turn_ends_the_model_s_answer_to_a_tool(tmp_path: Path) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(str(tmp_path / "told"), sampling="allow"))
        one = await manager.create_session("a", prompted())
        await one.send(asks("/sleep 60\n/say late"))
        await record_of(one, r.ModelCallStarted, count=2)
        await one.cancel()
        await record_of(one, r.TurnCancelled)
        failed = await records(one, r.ModelCallFailed)
        assert [record.data.code for record in failed] == ["cancelled"] and failed[0].data.partial is None
        assert len(await one.history()) == 3


async def test_a_model_that_cannot_answer_is_told_to_the_tool_and_not_to_the_turn() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(raw(sampling="allow"))
        one = await manager.create_session("a", prompted())
        result = await one.generate(asks("/fail rejected"))
        assert result.text == "Done."
        assert "No model has answered" in result_texts(result.messages)[0]


async def test_roots_are_told_where_that_is_configured(url: str, tmp_path: Path, era: str) -> None:
    own, common = tmp_path / "own", tmp_path / "common"
    own.mkdir()
    common.mkdir()
    call = "/tool mcp__sampling__where {}\n/say Done."
    async with runtime(workspace=str(common)) as manager:
        one = await manager.create_session("one", prompted(workspace=str(own)))
        two = await manager.create_session("two", prompted())
        await one.add_mcp_server(sampling(url, roots=True))
        assert result_texts((await one.generate(call)).messages) == [own.as_uri()]
        await one.remove_mcp_server("sampling")
        await manager.add_mcp_server(sampling(url, roots=True))
        assert result_texts((await two.generate(call)).messages) == [common.as_uri()]
        shared = result_texts((await one.generate(call)).messages)[-1]
        assert shared == (own.as_uri() if era == "auto" else common.as_uri())
        await manager.add_mcp_server(sampling(url))
        assert "file:" not in result_texts((await two.generate(call)).messages)[-1]


async def test_a_resource_and_a_prompt_may_ask_too(url: str, tmp_path: Path) -> None:
    read = '/tool mcp__sampling__read_resource {"uri": "asks://model"}\n/say Done.'
    async with runtime(workspace=str(tmp_path)) as manager:
        await manager.add_mcp_server(sampling(url, sampling="allow", roots=True))
        assert tmp_path.as_uri() in (await manager.get_mcp_prompt("sampling", "at_home")).as_input().text
        assert tmp_path.as_uri() in ((await manager.read_mcp_resource("sampling", "asks://roots"))[0].text or "")
        with pytest.raises(McpRefused, match="only a session's call"):
            await manager.read_mcp_resource("sampling", "asks://model")
        one = await manager.create_session("a", prompted())
        assert "text='read'" in result_texts((await one.generate(read)).messages)[0]
        await manager.add_mcp_server(sampling(url))
        with pytest.raises(McpRefused):
            await manager.get_mcp_prompt("sampling", "at_home")
