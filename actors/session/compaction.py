"""Shortening a session's context: when it is due, and the records that lead to it. Pure.

What goes is decided by ``actors.policy.compaction``. The call for a summary is a model call of the open turn, so it is
retried, cancelled, counted and recovered like any other; the context changes with one record, ``session.compacted``,
and until then not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actors.domain import records as r
from actors.domain.compaction import Compacting, CompactionReason, SummaryOf
from actors.domain.messages import Message, decode_messages
from actors.domain.records import Draft
from actors.errors import ContextExceeded
from actors.policy import compaction as policy
from actors.policy.budgets import FOR_MODEL
from actors.policy.compaction import Cut
from actors.policy.sizes import weight
from actors.policy.summaries import summary_message
from actors.session import budgets
from actors.session.failure import Failure
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.turn import Turn
from actors.session.turn_drafts import call_model, failed, may_retry, no_host

PROMPT_SHARE = 2
"""A request for a summary takes at most one part in so many of the window: it was the window that was too small."""

FULL_AFTER_OVERFLOW = 0.5
"""Part of the window from which on pruning alone does not do, once the model has refused the prompt: the window may be
smaller than it is thought to be, and the next refusal ends the turn."""


# --- when ------------------------------------------------------------------------------------------------------------


def asked_for(state: State) -> Compacting | None:
    """The compaction that somebody asks for; None when nothing would go."""
    return _if_it_helps(state, CompactionReason.manual, state.config.context_tokens)


def due(state: State) -> Compacting | None:
    """The compaction that the session makes by itself, as its configuration says; None while there is room."""
    config = state.config
    full = policy.should_compact(state.context_used, config.context_tokens, config.auto_compact_threshold)
    if not config.auto_compact or not full:
        return None
    return _if_it_helps(state, CompactionReason.threshold, config.context_tokens)


def before_next_call(state: State, turn: Turn) -> Compacting | None:
    """The compaction that has to come before the turn asks its model again."""
    if turn.failure is None:
        return None if turn.compacted or turn.summary_failed else due(state)
    if turn.failure.code != ContextExceeded.__name__ or turn.compacted is CompactionReason.overflow:
        return None
    return _if_it_helps(state, CompactionReason.overflow, _window_of(state, turn.failure))


def _if_it_helps(state: State, reason: CompactionReason, window: int) -> Compacting | None:
    """The compaction, if it would change anything."""
    asked = Compacting(reason=reason, window=window)
    messages = _messages(state)
    return asked if _cut(messages, asked) is not None or policy.prunable(messages, window) else None


def _window_of(state: State, failure: Failure) -> int:
    """The window that the provider spoke of; else less than what did not fit."""
    told = failure.error_args[-1] if failure.error_args else None
    if isinstance(told, int) and told > 0:
        return told
    return min(state.config.context_tokens, _tokens(state, _messages(state)))


# --- how -------------------------------------------------------------------------------------------------------------


def steps(state: State, turn: Turn, around: Surroundings, asked: Compacting) -> Iterator[Draft]:
    """The next records on the way to a shorter context."""
    messages = _messages(state)
    if turn.summary is not None and turn.summary_of is not None:
        cut = Cut(turn.summary_of.start, turn.summary_of.end)
        yield _compacted(state, messages, asked, cut, summary=summary_message(turn.summary))
    elif turn.failure is not None:
        if may_retry(state, turn) and around.model_host is not None:
            yield from _ask(state, turn, around, turn.summary_of, again=True)
        else:
            yield from _without_summary(state, turn, messages, asked, turn.failure)
    elif _pruning_is_enough(state, messages, asked):
        yield _compacted(state, messages, asked, None)
    elif model_of(state, around) is None:
        cut = policy.oldest(messages, asked.window) or _cut(messages, asked)
        yield _compacted(state, messages, asked, cut)
    elif around.model_host is None:
        yield from _without_summary(state, turn, messages, asked, no_host(around))
    else:
        cut = _cut(messages, asked)
        if cut is None:
            yield _compacted(state, messages, asked, None)
            return
        wanted = SummaryOf(start=cut.start, end=cut.end, prompt_tokens=asked.window // PROMPT_SHARE)
        yield from _ask(state, turn, around, wanted)


def _ask(
    state: State, turn: Turn, around: Surroundings, wanted: SummaryOf | None, *, again: bool = False
) -> Iterator[Draft]:
    """The call for a summary, once the lane of model calls lets it begin, and the budget has something for it."""
    if budgets.is_used_up(state, FOR_MODEL):
        yield from budgets.held(state, turn, FOR_MODEL)
    elif not state.rate_limited:
        yield call_model(state, turn, around, again=again, summary_of=wanted)


def given_up(state: State, turn: Turn, failure: Failure) -> Iterator[Draft]:
    """What there is to write when a compaction that is due does not come about; nothing when none is."""
    if state.compacting is not None:
        data = r.SessionCompactionFailed.Data(
            reason=state.compacting.reason,
            code=failure.code,
            message=failure.message,
            error_args=failure.error_args,
        )
        yield Draft(r.SessionCompactionFailed, data, turn.turn_id)


def unbegun(state: State, why: str) -> Iterator[Draft]:
    """A compaction that no turn has begun, and none ever will; one that a turn has begun ends with that."""
    if state.compacting is not None and state.turn is None:
        data = r.SessionCompactionFailed.Data(reason=state.compacting.reason, code="cancelled", message=why)
        yield Draft(r.SessionCompactionFailed, data)


def _without_summary(
    state: State, turn: Turn, messages: Sequence[Message], asked: Compacting, failure: Failure
) -> Iterator[Draft]:
    """Nobody sums up: what does not fit goes all the same, anything else stays."""
    cut = _cut(messages, asked) if asked.reason is CompactionReason.overflow else None
    if cut is not None or policy.prunable(messages, asked.window):
        yield _compacted(state, messages, asked, cut, error=failure.message)
        return
    yield from given_up(state, turn, failure)
    if not turn.inputs:
        yield failed(turn, failure)


def _cut(messages: Sequence[Message], asked: Compacting) -> Cut | None:
    """The part that gives way to a summary."""
    choose = policy.most if asked.reason is CompactionReason.overflow else policy.middle
    return choose(messages, asked.window)


def _pruning_is_enough(state: State, messages: Sequence[Message], asked: Compacting) -> bool:
    """Whether pruning alone makes the room that is wanted. Whoever asks for a compaction wants a summary."""
    pruned = policy.prunable(messages, asked.window)
    if not pruned or asked.reason is CompactionReason.manual:
        return False
    left = _tokens_after(state, messages, pruned, Cut(0, 0), None)
    overflow = asked.reason is CompactionReason.overflow
    full = FULL_AFTER_OVERFLOW if overflow else state.config.auto_compact_threshold
    return not policy.should_compact(left, asked.window, full)


def _compacted(
    state: State,
    messages: Sequence[Message],
    asked: Compacting,
    cut: Cut | None,
    summary: Message | None = None,
    *,
    error: str | None = None,
) -> Draft:
    start, end = cut or Cut(0, 0)
    pruned = tuple(place for place in policy.prunable(messages, asked.window) if not start <= place < end)
    data = r.SessionCompacted.Data(
        reason=asked.reason,
        start=start,
        end=end,
        summary=summary,
        pruned=pruned,
        removed_messages=end - start,
        before_messages=len(messages),
        after_messages=len(messages) - (end - start) + (summary is not None),
        before_tokens=_tokens(state, messages),
        after_tokens=_tokens_after(state, messages, pruned, Cut(start, end), summary),
        percent_before=state.context_usage.percent,
        error=error,
    )
    return Draft(r.SessionCompacted, data, state.turn.turn_id if state.turn else None)


# --- sizes -----------------------------------------------------------------------------------------------------------


def _messages(state: State) -> tuple[Message, ...]:
    return decode_messages([entry.message for entry in state.context])


def _tokens(state: State, messages: Sequence[Message]) -> int:
    """The provider's count of the last prompt; an estimate when there was none."""
    return state.context_used or sum(map(weight, messages))


def _tokens_after(
    state: State, messages: Sequence[Message], pruned: Sequence[int], cut: Cut, summary: Message | None
) -> int:
    """The same for what is left, by its share of the estimated size."""
    before = sum(map(weight, messages))
    after = weight(summary) if summary is not None else 0
    for place, message in enumerate(messages):
        if not cut.start <= place < cut.end:
            after += weight(policy.prune(message) if place in pruned else message)
    return round(_tokens(state, messages) * after / before) if before else 0
