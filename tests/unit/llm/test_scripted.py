"""The scripted model: every answer follows from the history, and a script can say anything a model can."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.calls import HostRef, ModelCall, ModelOutcome
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, StopReason, TokenUsage, ToolUseBlock
from actors.errors import GreenroomError, ModelAuthFailed, ModelProtocolError, ModelRejected, ModelUnavailable
from actors.llm.scripted import ScriptedModel
from actors.llm.scripted_steps import position, prompt_steps
from actors.policy.continuation import CONTINUATION_PROMPT


class _Heard:
    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []

    def __call__(self, channel: str, text: str) -> None:
        self.pieces.append((channel, text))

    def texts(self, channel: str) -> list[str]:
        return [text for name, text in self.pieces if name == channel]


def _call(model: str, attempt: int = 1, timeout_s: float = 60, **options: Any) -> ModelCall:
    return ModelCall(
        call_id="c",
        attempt=attempt,
        tenant="default",
        journal_id="j",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=HostRef(host_id="h", incarnation="i"),
        llm=LlmConfig(provider="scripted", model=model, options=options, timeout_s=timeout_s),
    )


async def _run(call: ModelCall, *history: Message) -> tuple[ModelOutcome, _Heard]:
    heard = _Heard()
    return await ScriptedModel().run(call, history, heard), heard


async def _converse(call: ModelCall, prompt: str) -> list[Message]:
    """The answers of a turn whose tools all say ``ok``."""
    history: list[Message] = [Message.user(prompt)]
    answers: list[Message] = []
    while not answers or answers[-1].tool_calls:
        outcome, _ = await _run(call, *history)
        assert outcome.message is not None
        answers.append(outcome.message)
        history.append(outcome.message)
        history += [Message.tool_result(use.id, "ok") for use in outcome.message.tool_calls]
    return answers


async def test_echo_answers_with_the_last_user_text_word_by_word() -> None:
    outcome, heard = await _run(
        _call("echo"), Message.user("old"), Message.assistant("old"), Message.user("one  two\n")
    )

    assert heard.pieces == [("text", "one  "), ("text", "two\n")]
    assert outcome.message == Message.assistant("one  two\n")
    assert outcome.stop_reason is StopReason.end_turn


async def test_usage_counts_characters_by_four_and_at_least_one() -> None:
    tiny, _ = await _run(_call("echo"), Message.user("a"))
    longer, _ = await _run(_call("echo"), Message.user("a" * 40))

    assert tiny.usage == TokenUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2)
    assert longer.usage == TokenUsage(prompt_tokens=10, completion_tokens=10, total_tokens=20)


async def test_a_script_gives_one_step_for_each_answer_of_a_turn() -> None:
    steps = [
        {"tool": "read", "args": {"path": "a"}},
        {"text": "two", "tools": [{"tool": "x"}, {"tool": "y"}]},
        {"text": "end"},
    ]

    answers = await _converse(_call("script", steps=steps), "go")

    assert [[(use.id, use.name, use.input) for use in answer.tool_calls] for answer in answers] == [
        [("call_0_0", "read", {"path": "a"})],
        [("call_1_0", "x", {}), ("call_1_1", "y", {})],
        [],
    ]
    assert [answer.text for answer in answers] == ["", "two", "end"]


async def test_each_turn_begins_the_script_again() -> None:
    call = _call("script", steps=[{"text": "first"}, {"text": "second"}])
    outcome, _ = await _run(call, Message.user("a"), Message.assistant("first"), Message.user("b"))

    assert outcome.message == Message.assistant("first")


async def test_the_last_step_repeats_and_with_loop_the_first_follows() -> None:
    history = [Message.user("go"), *[Message.assistant("x")] * 2]
    last, _ = await _run(_call("script", steps=[{"text": "a"}, {"text": "b"}]), *history)
    first, _ = await _run(_call("script", steps=[{"text": "a"}, {"text": "b"}], loop=True), *history)

    assert last.message == Message.assistant("b")
    assert first.message == Message.assistant("a")


def test_neither_tool_results_nor_a_nudge_begin_a_turn() -> None:
    use = ToolUseBlock(id="u", name="t", input={})
    history = [
        Message.user("go"),
        Message.assistant("", use),
        Message.tool_result("u", "ok"),
        Message.assistant("I will:"),
        Message.user(CONTINUATION_PROMPT),
    ]

    assert position(history) == 2


async def test_arguments_that_are_no_json_arrive_as_a_parse_error() -> None:
    outcome, heard = await _run(_call("script", steps=[{"tool": "t", "raw_args": '{"a": '}]), Message.user("go"))

    assert outcome.message is not None
    (use,) = outcome.message.tool_calls
    assert use.parse_error is not None
    assert use.input["raw"] == '{"a": '
    assert heard.texts("tool_input") == ['{"a": ']


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unavailable", ModelUnavailable),
        ("protocol", ModelProtocolError),
        ("auth", ModelAuthFailed),
        ("rejected", ModelRejected),
    ],
)
async def test_a_step_fails_the_way_it_says(kind: str, error: type[GreenroomError]) -> None:
    with pytest.raises(error):
        await _run(_call("script", steps=[{"error": kind}]), Message.user("go"))


async def test_a_step_fails_so_many_times_and_then_answers() -> None:
    step = {"text": "here", "error": "protocol", "fail_times": 2}
    for attempt in (1, 2):
        with pytest.raises(ModelProtocolError):
            await _run(_call("script", attempt, steps=[step]), Message.user("go"))

    outcome, _ = await _run(_call("script", 3, steps=[step]), Message.user("go"))

    assert outcome.message == Message.assistant("here")


async def test_a_step_may_set_stop_reason_thinking_and_usage() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
    step = {"text": "cut", "stop_reason": "max_tokens", "thinking": "hm", "usage": usage}
    outcome, heard = await _run(_call("script", steps=[step]), Message.user("go"))

    assert outcome.stop_reason is StopReason.max_tokens
    assert outcome.usage.total_tokens == 11
    assert outcome.message is not None
    assert outcome.message.reasoning_content == "hm"
    assert heard.pieces == [("thinking", "hm"), ("text", "cut")]


async def test_an_answer_that_takes_too_long_is_unavailable() -> None:
    with pytest.raises(ModelUnavailable, match=r"0\.01 s"):
        await _run(_call("echo", timeout_s=0.01, token_delay_s=50), Message.user("one two"))


async def test_a_cancelled_answer_has_put_out_its_beginning() -> None:
    heard = _Heard()
    history = (Message.user("one two"),)
    answer = asyncio.create_task(ScriptedModel().run(_call("echo", token_delay_s=50), history, heard))
    for _ in range(20):
        await asyncio.sleep(0)
    answer.cancel()
    await asyncio.wait([answer])

    assert answer.cancelled()
    assert heard.texts("text") == ["one "]


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("unknown", {}, "scripted/echo"),
        ("script", {}, "options['steps']"),
        ("script", {"steps": []}, "options['steps']"),
        ("script", {"steps": [{"text": 5}]}, "text"),
        ("script", {"steps": [{"txet": "x"}]}, "txet"),
        ("script", {"steps": ["x"]}, r"steps'][0]"),
        ("script", {"steps": [{"error": "odd"}]}, "error"),
        ("script", {"steps": [{"stop_reason": "odd"}]}, "stop_reason"),
        ("echo", {"token_delay_s": -1}, "token_delay_s"),
    ],
)
async def test_what_is_no_script_is_refused_with_the_place(model: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelRejected) as refused:
        await _run(_call(model, **options), Message.user("go"))

    assert said in str(refused.value)


async def test_a_prompt_is_a_script_whose_tool_lines_group_into_answers() -> None:
    prompt = '/say Looking.\n/tool read {"path": "a"}\n/tool ls\n/sleep 0\n/tool bash {"command": "x"}\nAll\ndone.'

    answers = await _converse(_call("prompt"), prompt)

    assert [[(use.name, use.input) for use in answer.tool_calls] for answer in answers] == [
        [("read", {"path": "a"}), ("ls", {})],
        [("bash", {"command": "x"})],
        [],
    ]
    assert [answer.text for answer in answers] == ["Looking.", "", "All\ndone."]


async def test_a_prompt_of_tool_lines_only_ends_with_a_text() -> None:
    answers = await _converse(_call("prompt"), "/tool ls {}")

    assert answers[-1].text == "done"


async def test_a_prompt_without_commands_is_echoed() -> None:
    outcome, _ = await _run(_call("prompt"), Message.user("hello\nyou"))

    assert outcome.message == Message.assistant("hello\nyou")


async def test_a_prompt_may_fail_always_or_a_number_of_times() -> None:
    with pytest.raises(ModelAuthFailed):
        await _run(_call("prompt", 9), Message.user("/fail auth"))
    with pytest.raises(ModelProtocolError):
        await _run(_call("prompt", 1), Message.user("/fail protocol 1\nfine"))

    outcome, _ = await _run(_call("prompt", 2), Message.user("/fail protocol 1\nfine"))

    assert outcome.message == Message.assistant("fine")


async def test_broken_json_in_a_prompt_is_a_parse_error_of_the_call() -> None:
    outcome, _ = await _run(_call("prompt"), Message.user("/tool t {oops"))

    assert outcome.message is not None
    assert outcome.message.tool_calls[0].parse_error is not None


@given(
    st.lists(
        st.sampled_from(
            ["/tool", "/tool a", '/tool b {"x": 1}', "/say hi", "/say", "/sleep 0", "/sleep x", "/fail x", ""]
        )
        | st.text(max_size=8),
        max_size=8,
    )
)
def test_any_text_is_a_script_that_ends_without_calls(lines: list[str]) -> None:
    steps = prompt_steps("\n".join(lines))

    assert "tools" not in steps[-1]
    assert all("tools" in step for step in steps[:-1])


async def test_the_same_history_gets_the_same_answer() -> None:
    call = _call("script", steps=[{"text": "a", "tool": "t"}])

    first, _ = await _run(call, Message.user("go"))
    second, _ = await _run(call, Message.user("go"))

    assert first.model_copy(update={"duration_ms": 0}) == second.model_copy(update={"duration_ms": 0})


async def test_a_clock_says_when_each_of_its_words_left() -> None:
    before = time.monotonic()
    call = _call("script", steps=[{"text": "at ", "clock": 3}])
    outcome, heard = await _run(call, Message.user("when?"))
    after = time.monotonic()

    assert outcome.message is not None
    word, *times = outcome.message.text.split()
    assert word == "at"
    assert before <= float(times[0]) <= float(times[1]) <= float(times[2]) <= after + 0.001
    assert "".join(heard.texts("text")) == outcome.message.text
