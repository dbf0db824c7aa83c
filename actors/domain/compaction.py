"""Words that everybody who has to do with shortening a session's context shares."""

from __future__ import annotations

from enum import StrEnum

from actors.domain.base import Frozen


class CompactionReason(StrEnum):
    """Why a context is compacted."""

    manual = "manual"
    """Somebody asked for it."""

    threshold = "threshold"
    """The last prompt filled its window so far that the session does it by itself."""

    overflow = "overflow"
    """The model said that the prompt does not fit."""


class Compacting(Frozen):
    """A compaction that is due. ``window``: tokens that the context has to fit into, with room for more."""

    reason: CompactionReason
    window: int


class SummaryOf(Frozen):
    """What a model call sums up: the messages of its context from ``start`` up to, but not including, ``end``.

    Attributes:
        prompt_tokens: Longest request for the summary, by estimate: what is to be cut may itself be too long.
        title: In a line for people, in place of a text for the model; ``prompt_tokens`` does not matter then.
    """

    start: int
    end: int
    prompt_tokens: int
    title: bool = False


class Compaction(Frozen):
    """What a compaction did.

    Attributes:
        seq: Place of its record, ``session.compacted``.
        removed_messages: Messages that gave way to a summary, or to nothing.
        pruned_messages: Messages whose tool outputs gave way to a marker.
        before_tokens: The provider's count of the last prompt; an estimate when there was none.
        after_tokens: An estimate from it.
        summary: What the model sees in place of the removed messages; None when there is no summary.
        error: Why there is none although the model was asked for it.
    """

    seq: int
    reason: CompactionReason
    removed_messages: int
    pruned_messages: int
    before_messages: int
    after_messages: int
    before_tokens: int
    after_tokens: int
    summary: str | None = None
    error: str | None = None
