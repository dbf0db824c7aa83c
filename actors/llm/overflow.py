"""How providers say that a conversation is too long: between their error bodies and one error of ours.

No wire has a code for it that all of its servers send: OpenAI and those who follow it closely have one, llama.cpp has a
type, everybody else a sentence.
"""

from __future__ import annotations

import re
from typing import Any, Final

from actors.llm.answer import obj, text_of

_TOO_LONG: Final = re.compile(
    "|".join(
        (
            r"context_length_exceeded|exceed_context_size_error",
            r"maximum (?:context|prompt|model) length",
            r"exceed\w*\b.{0,60}\bcontext (?:window|size|limit|length)",
            r"context (?:window|size|limit|length) (?:is |was )?exceeded",
            r"(?:prompt|input) is too long",
            r"input token(?:s| count)\b.{0,60}exceed",
            r"longer than the (?:maximum model length|model's context length)",
            r"prompt contains \d+ tokens",
            r"tokens in the prompt cannot exceed",
            r"`inputs`.{0,60}must (?:be <=|have less than|not exceed)",
            r"reduce the length of the (?:messages|prompt|input)",
            r"when (?:the )?context (?:the )?overflows",
        )
    ),
    re.IGNORECASE,
)
"""Of OpenAI, Anthropic, Gemini, Mistral, xAI, Cohere, Bedrock, vLLM, SGLang, TGI, llama.cpp, and LM Studio. Sentences
about the longest answer, or about tokens per minute, are none: a shorter conversation does not help there."""

_WINDOW: Final = re.compile(
    "|".join(
        (
            r"n_ctx\W+(\d+)",
            r"length (?:is|of)(?: only)? ([\d,]+)",
            r"> ([\d,]+)",
            r"context (?:size|length) \(([\d,]+) tokens",
            r"limit of ([\d,]+) tokens",
            r"tokens allowed \(([\d,]+)",
            r"with ([\d,]+) maximum context",
            r"(?:be <=|have less than|not exceed|cannot exceed) ([\d,]+)",
        )
    )
)


def says_too_long(sentence: str, body: dict[str, Any]) -> bool:
    """Whether an error means that the prompt does not fit into the model's window.

    Args:
        sentence: The provider's own words.
        body: The whole answer, as far as it was a JSON object.
    """
    return _TOO_LONG.search(_said(sentence, body)) is not None


def window_in(sentence: str, body: dict[str, Any]) -> int | None:
    """The size of the window in tokens, where the error tells it."""
    found = _WINDOW.search(_said(sentence, body))
    digits = "".join(filter(str.isdigit, next(filter(None, found.groups()), ""))) if found else ""
    return int(digits) or None if 0 < len(digits) < 12 else None


def _said(sentence: str, body: dict[str, Any]) -> str:
    error = obj(body.get("error")) or body
    window = f"n_ctx {error['n_ctx']} " if isinstance(error.get("n_ctx"), int) else ""
    return f"{window}{text_of(error.get('code'))} {text_of(error.get('type'))} {sentence}"
