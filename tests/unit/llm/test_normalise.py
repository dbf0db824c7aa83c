"""Any history becomes bodies that both providers take, and nothing that was said gets lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from actors.domain.blobs import inflate
from actors.domain.calls import HostRef, ModelCall
from actors.domain.llm import LlmConfig
from actors.domain.messages import (
    Base64Source,
    ImageBlock,
    Message,
    Role,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from actors.domain.tools import ToolDefinition
from actors.llm.anthropic import AnthropicProvider
from actors.llm.names import ToolNames
from actors.llm.normalise import NO_OUTPUT, NO_RESULT, NO_TEXT, AssistantTurn, UserTurn, normalise
from actors.llm.openai import OpenAIProvider
from tests.unit.llm.histories import histories
from tests.unit.llm.validators import Malformed, check_anthropic, check_openai

_TOOLS = tuple(ToolDefinition(name=name, description=name) for name in ("read", "fs.read", "fs_read"))
_NAMES = ToolNames(tool.name for tool in _TOOLS)
_PNG = ImageBlock(source=Base64Source(media_type="image/png", data="aGk="))


def _call(thinking: int | None = None) -> ModelCall:
    return ModelCall(
        call_id="c",
        tenant="default",
        journal_id="j",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=HostRef(host_id="h", incarnation="i"),
        llm=LlmConfig.of("openai/m", temperature=0.5),
        system="be brief",
        tools=_TOOLS,
        thinking_budget=thinking,
    )


def _openai(messages: tuple[Message, ...]) -> dict[str, Any]:
    body = OpenAIProvider("openai", "http://localhost:1", None).body(_call(), messages, _NAMES)
    return {key: value for key, value in body.items() if value is not None}


def _anthropic(messages: tuple[Message, ...], thinking: int | None = None) -> dict[str, Any]:
    body = AnthropicProvider("anthropic", None, None).body(_call(thinking), messages, _NAMES)
    return {key: value for key, value in body.items() if value is not None}


def _use(identity: str = "a", name: str = "read") -> ToolUseBlock:
    return ToolUseBlock(id=identity, name=name, input={})


@given(histories)
def test_any_history_is_a_body_that_openai_takes(history: tuple[Message, ...]) -> None:
    check_openai(_openai(history))


@given(histories)
def test_any_history_is_a_body_that_anthropic_takes(history: tuple[Message, ...]) -> None:
    check_anthropic(_anthropic(history))


@given(histories)
def test_any_history_is_a_body_that_anthropic_takes_with_thinking(history: tuple[Message, ...]) -> None:
    check_anthropic(_anthropic(history, thinking=2048))


@given(histories)
def test_every_call_and_every_text_survives_in_order(history: tuple[Message, ...]) -> None:
    turns = normalise(history)

    calls = [call.name for turn in turns if isinstance(turn, AssistantTurn) for call in turn.calls]
    spoken = [text for turn in turns if isinstance(turn, AssistantTurn) for text in turn.texts]

    answers = [inflate(message, {}) for message in history if message.role is Role.assistant]
    assert calls == [call.name for message in answers for call in message.tool_calls]
    assert spoken == [
        block.text
        for message in answers
        for block in message.content
        if isinstance(block, TextBlock) and block.text.strip()
    ]


@given(histories)
def test_no_result_is_lost(history: tuple[Message, ...]) -> None:
    sent = json.dumps(_anthropic(history)["messages"], ensure_ascii=False)

    for message in history:
        for block in message.content:
            if isinstance(block, ToolResultBlock) and isinstance(block.content, str) and block.content.strip():
                assert json.dumps(block.content, ensure_ascii=False) in sent


@given(histories)
def test_normalising_never_changes_the_history_it_reads(history: tuple[Message, ...]) -> None:
    before = [message.model_dump_json() for message in history]

    first, again = _anthropic(history), _anthropic(history)

    assert first == again
    assert [message.model_dump_json() for message in history] == before


def test_an_empty_history_becomes_one_user_message() -> None:
    assert normalise(()) == [UserTurn([TextBlock(text=NO_TEXT)])]


def test_a_history_that_begins_with_the_assistant_gets_a_user_message_in_front() -> None:
    turns = normalise((Message.assistant("hello"),))

    assert [type(turn) for turn in turns] == [UserTurn, AssistantTurn]


def test_a_call_without_a_result_gets_an_error_result() -> None:
    history = (Message.user("go"), Message.assistant("", _use()), Message.user("never mind"))

    _, answer, _ = normalise(history)

    assert isinstance(answer, AssistantTurn)
    (call,) = answer.calls
    assert (call.result, call.is_error) == ([TextBlock(text=NO_RESULT)], True)


def test_results_in_the_wrong_order_and_behind_text_come_directly_after_their_calls() -> None:
    history = (
        Message.user("go"),
        Message.assistant("", _use("a"), _use("b")),
        Message.user("stop!"),
        Message.tool_result("b", "of b"),
        Message.tool_result("a", "of a"),
    )

    roles = [(one["role"], one.get("tool_call_id"), one["content"]) for one in _openai(history)["messages"][2:]]

    assert roles == [
        ("assistant", None, None),
        ("tool", "a", "of a"),
        ("tool", "b", "of b"),
        ("user", None, "stop!"),
    ]


def test_all_results_of_an_answer_are_in_one_anthropic_message_before_the_text() -> None:
    history = (
        Message.user("go"),
        Message.assistant("", _use("a"), _use("b")),
        Message.tool_result("a", "of a"),
        Message.tool_result("b", "of b", is_error=True),
        Message.user("and now?"),
    )

    _, _, last = _anthropic(history)["messages"]

    assert [block["type"] for block in last["content"]] == ["tool_result", "tool_result", "text"]
    assert [block.get("is_error", False) for block in last["content"][:2]] == [False, True]


def test_the_same_id_in_two_answers_keeps_each_result_with_its_own_call() -> None:
    history = (
        Message.user("go"),
        Message.assistant("", _use("call_0")),
        Message.tool_result("call_0", "first"),
        Message.assistant("", _use("call_0")),
        Message.tool_result("call_0", "second"),
    )

    calls = [call for turn in normalise(history) if isinstance(turn, AssistantTurn) for call in turn.calls]

    assert [call.result for call in calls] == [[TextBlock(text="first")], [TextBlock(text="second")]]
    assert len({call.id for call in calls}) == 2


def test_the_same_id_twice_in_one_answer_takes_results_in_order() -> None:
    history = (
        Message.user("go"),
        Message.assistant("", _use(""), _use("")),
        Message.tool_result("", "first"),
        Message.tool_result("", "second"),
    )

    calls = [call for turn in normalise(history) if isinstance(turn, AssistantTurn) for call in turn.calls]

    assert [call.result for call in calls] == [[TextBlock(text="first")], [TextBlock(text="second")]]


def test_a_result_after_a_later_answer_belongs_to_the_latest_open_call_of_its_id() -> None:
    history = (
        Message.user("go"),
        Message.assistant("", _use("a")),
        Message.assistant("", _use("a")),
        Message.tool_result("a", "late"),
    )

    first, second = (call for turn in normalise(history) if isinstance(turn, AssistantTurn) for call in turn.calls)

    assert not first.answered
    assert second.result == [TextBlock(text="late")]


def test_a_result_without_a_call_becomes_text() -> None:
    (turn,) = normalise((Message.tool_result("gone", "what it said"),))

    assert isinstance(turn, UserTurn)
    assert [part.text for part in turn.parts if isinstance(part, TextBlock)][-1] == "what it said"


def test_an_empty_result_says_that_there_was_no_output() -> None:
    history = (Message.user("go"), Message.assistant("", _use()), Message.tool_result("a", " \n"))

    assert _openai(history)["messages"][-1]["content"] == NO_OUTPUT


def test_an_image_in_a_result_follows_in_a_user_message_for_openai_and_stays_for_anthropic() -> None:
    history = (
        Message.user("look"),
        Message.assistant("", _use()),
        Message.tool_result("a", [TextBlock(text="a picture"), _PNG]),
        Message.user("what is it?"),
    )

    *_, tool, user = _openai(history)["messages"]
    last = _anthropic(history)["messages"][-1]

    assert tool["content"] == "a picture"
    assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]
    assert user["content"][1]["image_url"]["url"] == "data:image/png;base64,aGk="
    assert [part["type"] for part in last["content"][0]["content"]] == ["text", "image"]


def test_a_trailing_answer_loses_the_blanks_at_its_end_for_anthropic() -> None:
    *_, last = _anthropic((Message.user("go"), Message.assistant("once upon \n")))["messages"]

    assert last["content"] == [{"type": "text", "text": "once upon"}]


def test_two_user_messages_in_a_row_become_one() -> None:
    (_, only) = _openai((Message.user("one"), Message.user("two")))["messages"]

    assert only == {"role": "user", "content": "one\n\ntwo"}


def test_ids_that_no_provider_takes_are_replaced_in_call_and_result_alike() -> None:
    history = (
        Message.user("go"),
        Message.assistant("", _use("functions.read:0")),
        Message.tool_result("functions.read:0", "x"),
    )

    *_, answer, results = _anthropic(history)["messages"]

    assert answer["content"][0]["id"] == results["content"][0]["tool_use_id"]
    check_anthropic(_anthropic(history))


def test_names_with_dots_are_sent_plain_and_come_back_as_they_were() -> None:
    names = ToolNames(["fs.read", "fs_read", "x" * 64])

    assert names.wire("fs_read") == "fs_read"
    assert names.wire("fs.read") == "fs_read_2"
    assert [names.real(names.wire(name)) for name in ("fs.read", "fs_read")] == ["fs.read", "fs_read"]
    assert names.wire("no such tool!") == "no_such_tool_"
    assert names.real("made_up") == "made_up"


def test_sealed_thinking_goes_back_to_anthropic_and_unsealed_does_not() -> None:
    sealed = Message.assistant("", _use()).model_copy(update={"reasoning_content": "hm", "reasoning_signature": "sig"})
    unsealed = sealed.model_copy(update={"reasoning_signature": None})
    result = Message.tool_result("a", "x")

    with_seal = _anthropic((Message.user("go"), sealed, result), thinking=2048)
    without = _anthropic((Message.user("go"), unsealed, result), thinking=2048)

    assert with_seal["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}
    assert with_seal["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert [block["type"] for block in without["messages"][1]["content"]] == ["tool_use"]
    assert "thinking" not in without


def test_thinking_goes_back_to_compatible_servers_within_the_running_turn_only() -> None:
    thought = Message.assistant("", _use("a")).model_copy(update={"reasoning_content": "hm"})
    again = Message.assistant("", _use("b")).model_copy(update={"reasoning_content": "so"})
    history = (
        Message.user("go"),
        thought,
        Message.tool_result("a", "x"),
        Message.user("next"),
        again,
        Message.tool_result("b", "y"),
    )
    official = OpenAIProvider("openai", None, None).body(_call(), history, _NAMES)

    assert [one.get("reasoning_content") for one in _openai(history)["messages"] if one["role"] == "assistant"] == [
        None,
        "so",
    ]
    assert not any("reasoning_content" in one for one in official["messages"])


@pytest.mark.parametrize(
    "broken",
    [
        [{"role": "user", "content": "go"}, {"role": "tool", "tool_call_id": "a", "content": "x"}],
        [{"role": "assistant", "content": None}],
        [{"role": "user", "content": " "}],
    ],
)
def test_the_openai_check_finds_a_malformed_history(broken: list[dict[str, Any]]) -> None:
    with pytest.raises(Malformed):
        check_openai({"model": "m", "messages": broken})


@pytest.mark.parametrize(
    "broken",
    [
        [{"role": "assistant", "content": [{"type": "text", "text": "hi"}]}],
        [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "n", "input": {}}]},
            {"role": "user", "content": [{"type": "text", "text": "no result"}]},
        ],
    ],
)
def test_the_anthropic_check_finds_a_malformed_history(broken: list[dict[str, Any]]) -> None:
    with pytest.raises(Malformed):
        check_anthropic({"model": "m", "max_tokens": 1, "messages": broken})
