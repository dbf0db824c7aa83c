"""Whether an answer without tool calls is the end of the turn, or a model that stopped in the middle of its work."""

from __future__ import annotations

import re

from actors.domain.messages import StopReason

CONTINUATION_PROMPT = (
    "Your last message stopped before the work was done. Go on from where you stopped: use the tools you need, and "
    "give the final answer when the task is complete."
)
"""What the model is told when its answer looks unfinished."""

_SHORT = 80
"""A single line below this many bytes that ends openly is an announcement, not an answer."""

_OPEN_ENDS = (":", "...", "\u2026", ",")

_INTENT = re.compile(
    r"\b(i['\u2019]ll|i will|let me|i need to|i should|next, i|first, i|now i|let['\u2019]s (start|begin)|to do this"
    r"|i['\u2019]m going to)\b",
    re.IGNORECASE,
)

_CLOSING = re.compile(
    r"\b(let me know|i['\u2019]ll (wait|be (happy|glad|here))|i will (wait|be (happy|glad|here))"
    r"|i should (note|mention|add|point out)|i need to (note|know|ask)|if you|would you|shall i|should i)\b|\?\s*$",
    re.IGNORECASE,
)
"""Closing phrases: they speak of what the person may do next, not of what the model is about to do."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")

_MAX_TAIL = 2000
"""Characters looked at: the last sentence of any answer is shorter."""


def looks_incomplete(text: str, stop_reason: StopReason | None, used_tools: bool) -> bool:
    """Whether the model should be asked to go on.

    An answer cut by the token limit always is incomplete. A model that says its turn has ended and has used no tool
    in it is believed. Otherwise the answer's last sentence decides: an announcement there has not been carried out.

    Args:
        text: The answer.
        stop_reason: Why the model stopped; None when unknown.
        used_tools: Whether a tool was used in this turn.
    """
    if stop_reason is StopReason.max_tokens:
        return True
    if stop_reason is StopReason.refusal or (stop_reason is StopReason.end_turn and not used_tools):
        return False
    stripped = text.strip()
    return not stripped or _ends_openly(stripped) or _announces(stripped)


def _ends_openly(text: str) -> bool:
    return "\n" not in text and len(text.encode(errors="replace")) < _SHORT and text.endswith(_OPEN_ENDS)


def _announces(text: str) -> bool:
    last = [part for part in _SENTENCE_END.split(text[-_MAX_TAIL:]) if part.strip()][-1]
    return bool(_INTENT.search(last)) and not _CLOSING.search(last)
