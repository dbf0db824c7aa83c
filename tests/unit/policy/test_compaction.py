"""What goes when a conversation is too long, and what never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.messages import (
    Base64Source,
    BlobTextBlock,
    ImageBlock,
    Message,
    Role,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from actors.policy.compaction import (
    KEEP_FIRST,
    KEEP_LAST,
    MIN_MESSAGES,
    MIN_SAVING_TOKENS,
    PROTECTED_TOKENS,
    PRUNED,
    Cut,
    middle,
    most,
    oldest,
    prunable,
    prune,
    should_compact,
)
from actors.policy.sizes import IMAGE_TOKENS, MESSAGE_TOKENS, estimate_tokens, weight
from actors.policy.summaries import SUMMARY_PREFIX, is_summary, summary_message, summary_request

WINDOW = 200_000


def _summary(text: str) -> Message:
    return summary_message([TextBlock(text=text)])


def _request(messages: list[Message], tokens: int = 10_000) -> str:
    return summary_request(messages, tokens).text


def _chat(count: int) -> list[Message]:
    return [Message.user(f"q{n}") if n % 2 == 0 else Message.assistant(f"a{n}") for n in range(count)]


def _call(name: str) -> Message:
    return Message.assistant("", ToolUseBlock(id=name, name="read", input={"file_path": name}))


def _result(name: str, text: str = "content") -> Message:
    return Message.tool_result(name, text)


def _output(tokens: int) -> str:
    return "x" * (4 * tokens)


_ROUNDS = st.lists(st.integers(min_value=0, max_value=4), min_size=0, max_size=40)
"""Conversations: 0 is a plain question and answer, n a question with n parallel calls."""


def _conversation(rounds: list[int]) -> list[Message]:
    messages: list[Message] = []
    for number, calls in enumerate(rounds):
        messages.append(Message.user(f"question {number}"))
        if calls:
            ids = [f"c{number}-{call}" for call in range(calls)]
            uses = [ToolUseBlock(id=one, name="read", input={}) for one in ids]
            messages.append(Message.assistant("", *uses))
            messages += [_result(one) for one in ids]
        messages.append(Message.assistant(f"answer {number}"))
    return messages


def _assert_paired(messages: list[Message]) -> None:
    called: set[str] = set()
    for message in messages:
        results = {block.tool_use_id for block in message.content if isinstance(block, ToolResultBlock)}
        assert results <= called, "a result without its call"
        called = (called - results) | {block.id for block in message.tool_calls}
    assert not called, "a call without its result"


# --- thresholds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "window", "threshold", "wanted"),
    [
        (50_000, 200_000, 0.80, False),
        (160_000, 200_000, 0.80, True),
        (10, 0, 0.80, False),
        (80_000, 100_000, 0.80, True),
        (79_999, 100_000, 0.80, False),
        (95_000, 100_000, 0.95, True),
        (94_000, 100_000, 0.95, False),
    ],
)
def test_the_threshold_is_reached_at_exactly_its_share(used: int, window: int, threshold: float, wanted: bool) -> None:
    assert should_compact(used, window, threshold) is wanted


def test_constants_fit_together() -> None:
    assert MIN_MESSAGES > KEEP_LAST + KEEP_FIRST > 0
    assert PROTECTED_TOKENS > 0 and MIN_SAVING_TOKENS > 0
    assert estimate_tokens("") == 0 and estimate_tokens("abcdefgh") == 2


# --- pruning ---------------------------------------------------------------------------------------------------------


def test_nothing_is_pruned_without_tool_outputs_or_with_small_ones() -> None:
    assert prunable(_chat(40), WINDOW) == ()
    assert prunable([_call("a"), _result("a", "small"), _call("b"), _result("b", "small")], WINDOW) == ()


def test_the_oldest_large_outputs_go_when_recent_ones_fill_the_protection() -> None:
    sizes = [15_000, 15_000, 30_000, 20_000]
    messages = [one for n, size in enumerate(sizes) for one in (_call(f"{n}"), _result(f"{n}", _output(size)))]

    places = prunable(messages, WINDOW)

    assert places == (1, 3)
    assert "pruned" in PRUNED
    pruned = prune(messages[1]).content[0]
    assert isinstance(pruned, ToolResultBlock)
    assert (pruned.tool_use_id, pruned.content) == ("0", PRUNED)


def test_the_most_recent_output_stays_however_large() -> None:
    assert prunable([_call("a"), _result("a", _output(500_000))], WINDOW) == ()


def test_what_was_pruned_is_not_pruned_again() -> None:
    messages = [_call("a"), prune(_result("a", _output(30_000))), _call("b"), _result("b", _output(50_000))]
    assert prunable(messages, WINDOW) == ()


# --- cutting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "left"), [(30, None), (31, 23), (50, 23)])
def test_a_long_chat_keeps_two_first_a_summary_and_twenty_last(count: int, left: int | None) -> None:
    cut = middle(_chat(count), WINDOW)
    assert (cut and count - (cut.end - cut.start) + 1) == left
    assert cut is None or cut.start == KEEP_FIRST


@pytest.mark.parametrize(("count", "wanted"), [(20, None), (21, Cut(0, 1)), (35, Cut(0, 15))])
def test_without_a_model_the_last_twenty_stay(count: int, wanted: Cut | None) -> None:
    assert oldest(_chat(count), WINDOW) == wanted


@given(_ROUNDS)
def test_no_cut_parts_a_call_from_its_result(rounds: list[int]) -> None:
    messages = _conversation(rounds)
    summary = _summary("short")
    for cut in (middle(messages, WINDOW), most(messages, WINDOW), oldest(messages, WINDOW)):
        if cut is not None:
            assert 0 <= cut.start < cut.end < len(messages)
            _assert_paired([*messages[: cut.start], summary, *messages[cut.end :]])


def test_one_huge_round_at_the_end_is_kept_whole() -> None:
    calls = [ToolUseBlock(id=f"{n}", name="read", input={}) for n in range(40)]
    messages = [*_chat(10), Message.assistant("", *calls), *(_result(call.id) for call in calls)]

    cut = middle(messages, WINDOW)

    assert cut == Cut(2, 10)


def test_large_last_messages_do_not_all_stay() -> None:
    messages = _chat(30) + [Message.user("x" * 40_000) for _ in range(20)]

    cut = middle(messages, 100_000)

    assert cut is not None
    assert 30 < cut.end < 50
    assert sum(map(weight, messages[cut.end :])) <= 50_000


def test_of_a_conversation_that_does_not_fit_the_large_part_goes_and_the_last_message_stays() -> None:
    large = Message.user("x" * 40_000)

    assert most([large, Message.assistant("read"), Message.user("and?")], 8000) == Cut(0, 1)
    assert most([*_chat(2), large, *_chat(3)], 8000) == Cut(2, 3)
    assert most([large], 8000) is None
    assert most([_summary("x" * 40_000), large], 8000) is None


@given(_ROUNDS, st.integers(min_value=100, max_value=100_000))
def test_the_end_of_a_conversation_that_does_not_fit_stays_whole(rounds: list[int], window: int) -> None:
    messages = _conversation(rounds)
    cut = most(messages, window)
    if cut is not None:
        assert 0 <= cut.start < cut.end < len(messages)
        _assert_paired([*messages[: cut.start], *messages[cut.end :]])


def test_calls_whose_results_come_much_later_are_not_parted_from_them() -> None:
    late = [_call("a"), *_chat(28), _result("a"), *_chat(6)]
    cut = middle(late, WINDOW)
    assert cut is None or cut.start == 0 or cut.start > 29


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_content_that_the_store_keeps_counts_with_its_size() -> None:
    kept = (BlobTextBlock(digest="0" * 64, size=120_000),)
    old = Message.tool_result("a", kept)
    messages = [_call("a"), old, _call("b"), _result("b", _output(40_000))]

    assert weight(old) == 30_000 + MESSAGE_TOKENS
    assert prunable(messages, WINDOW) == (1,)
    picture = ImageBlock(source=Base64Source(media_type="image/png", data="a" * 40_000))
    assert weight(Message(role=Role.user, content=(picture,))) == IMAGE_TOKENS + MESSAGE_TOKENS


def test_a_small_window_protects_less() -> None:
    messages = [one for n in range(4) for one in (_call(f"{n}"), _result(f"{n}", _output(2000)))]

    assert prunable(messages, WINDOW) == ()
    assert prunable(messages, 8000) == (1, 3)


# --- summarising -----------------------------------------------------------------------------------------------------


def test_what_tools_did_is_part_of_what_is_summed_up() -> None:
    failed = Message.tool_result("b", "no such file", is_error=True)
    prompt = _request([Message.user("look"), _call("a"), _result("a", "the text"), _call("b"), failed])

    assert "user: look" in prompt
    assert 'calls read with {"file_path": "a"}' in prompt
    assert "tool: [the call gave the text]" in prompt and "failed with no such file" in prompt


def test_an_earlier_summary_is_carried_forward_as_one_wherever_it_stands() -> None:
    for messages in ([_summary("the task is to count"), *_chat(4)], [*_chat(1), _summary("the task is to count")]):
        prompt = _request(messages)

        assert "Summary of what came before" in prompt and "the task is to count" in prompt
        assert SUMMARY_PREFIX not in prompt
    assert is_summary(_summary("x")) and not is_summary(Message.assistant(SUMMARY_PREFIX))
    assert "[Context Summary:" in _summary("x").text


@given(st.lists(st.text(max_size=400), max_size=200), st.integers(min_value=2_000, max_value=20_000))
def test_the_request_for_a_summary_is_bounded(texts: list[str], tokens: int) -> None:
    messages = [_summary("s" * 100_000), *map(Message.user, texts)]
    assert estimate_tokens(_request(messages, tokens)) <= tokens + 1_000


def test_long_texts_are_shortened_in_their_middle_and_left_out_messages_are_counted() -> None:
    messages = [Message.user("A" + "x" * 10_000 + "Z"), *(Message.user(f"m{n} " + "y" * 1000) for n in range(100))]

    prompt = _request(messages, 5_000)

    assert "characters ..." in prompt
    assert "messages are left out here" in prompt
    assert "m99 " in prompt and "m50 " not in prompt
