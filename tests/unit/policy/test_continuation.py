from __future__ import annotations

import pytest

from actors.domain.messages import StopReason
from actors.policy.continuation import CONTINUATION_PROMPT, looks_incomplete

_OPEN = [
    "",
    "  \n ",
    "Working on it...",
    "One moment\u2026",
    "Here is the plan:",
    "Having read the file,",
    "I'll start with the tests",
    "Let me check the configuration.",
    "I will now run the build.",
    "I need to look at the log first.",
    "The file is broken. I'm going to rewrite it.",
    "Done with part one.\nNow I fix part two.",
]

_DONE = [
    "42",
    "Yes.",
    "The tests pass.",
    "Summary:\n- read the file\n- fixed the bug\n- ran the tests",
    "All done. Let me know if you need anything else.",
    "I'll explain: first, I read the file. The bug is fixed.",
    "Fixed. Would you like me to run the tests? I will if so?",
    "I will be happy to help further.",
    "To do this, run `make`. It takes a minute.",
]


@pytest.mark.parametrize("text", _OPEN)
def test_an_answer_that_ends_with_an_announcement_is_incomplete(text: str) -> None:
    assert looks_incomplete(text, StopReason.end_turn, used_tools=True)


@pytest.mark.parametrize("text", _DONE)
def test_an_answer_that_ends_with_a_statement_is_complete(text: str) -> None:
    assert not looks_incomplete(text, StopReason.end_turn, used_tools=True)


@pytest.mark.parametrize("text", _OPEN)
def test_a_model_that_ends_its_turn_without_any_tool_is_believed(text: str) -> None:
    assert not looks_incomplete(text, StopReason.end_turn, used_tools=False)


@pytest.mark.parametrize("used_tools", [True, False])
def test_an_answer_cut_by_the_token_limit_is_incomplete(used_tools: bool) -> None:
    assert looks_incomplete("The answer is 42.", StopReason.max_tokens, used_tools)


def test_a_refusal_is_an_answer() -> None:
    assert not looks_incomplete("", StopReason.refusal, used_tools=True)


def test_the_prompt_to_go_on_is_no_announcement_itself() -> None:
    assert not looks_incomplete(CONTINUATION_PROMPT, None, used_tools=True)
