"""Naming a session after its conversation: the records that lead to it. Pure.

A title is asked for in a turn of its own, between others, so the model call for it is retried, cancelled, counted and
recovered like any other. The conversation does not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actors.domain import records as r
from actors.domain.compaction import SummaryOf
from actors.domain.messages import BlobTextBlock, Message, TextBlock, decode_messages
from actors.domain.records import Draft
from actors.policy.budgets import FOR_MODEL
from actors.policy.summaries import TITLE_FROM, title_of
from actors.session import budgets
from actors.session.failure import NO_TITLE, Failure
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.turn import Turn
from actors.session.turn_drafts import call_model, completed, failed, may_retry, no_host

MAX_TOKENS = 2000
"""Longest answer to the question for a title: twenty would do, but some models think before they write."""


def asked_for(state: State) -> list[Draft]:
    """What it takes to have a title; nothing where nobody has said anything."""
    return [Draft(r.SessionTitling, r.Empty())] if _says_something(_beginning(state)) else []


def steps(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    """The next records on the way to a title, in the turn that is there for it."""
    beginning = _beginning(state)
    if turn.summary is not None:
        title = title_of(turn.summary)
        if title:
            yield Draft(r.SessionRenamed, r.SessionRenamed.Data(name=title), turn.turn_id)
            yield completed(turn)
        else:
            yield from _without(state, turn, NO_TITLE)
    elif not _says_something(beginning):
        yield from _without(state, turn, NO_TITLE)
    elif model_of(state, around) is None or around.model_host is None:
        yield from _without(state, turn, no_host(around))
    elif turn.failure is not None and not may_retry(state, turn):
        yield from _without(state, turn, turn.failure)
    elif budgets.is_used_up(state, FOR_MODEL):
        yield from budgets.held(state, turn, FOR_MODEL)
    elif not state.rate_limited:
        wanted = SummaryOf(start=0, end=len(beginning), prompt_tokens=0, title=True)
        yield call_model(state, turn, around, again=turn.failure is not None, summary_of=wanted)


def given_up(state: State, turn: Turn, failure: Failure) -> Iterator[Draft]:
    """What there is to write when a title that is wanted does not come about; nothing when none is."""
    if turn.title and state.titling:
        yield Draft(r.SessionTitleFailed, _why(failure), turn.turn_id)


def unbegun(state: State, why: str) -> Iterator[Draft]:
    """A title for which there is no turn yet, and never will be."""
    if state.titling and not (state.turn is not None and state.turn.title):
        failure = Failure(code="cancelled", message=why, retryable=False, host_lost=False)
        yield Draft(r.SessionTitleFailed, _why(failure))


def _without(state: State, turn: Turn, failure: Failure) -> Iterator[Draft]:
    yield from given_up(state, turn, failure)
    yield failed(turn, failure)


def _why(failure: Failure) -> r.SessionTitleFailed.Data:
    return r.SessionTitleFailed.Data(code=failure.code, message=failure.message, error_args=failure.error_args)


def _beginning(state: State) -> tuple[Message, ...]:
    return decode_messages([entry.message for entry in state.context[:TITLE_FROM]])


def _says_something(messages: Sequence[Message]) -> bool:
    blocks = [block for message in messages for block in message.content]
    return any(
        isinstance(block, BlobTextBlock) or (isinstance(block, TextBlock) and block.text.strip()) for block in blocks
    )
