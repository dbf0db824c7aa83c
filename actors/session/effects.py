"""What a session does next: a pure function of its state and its surroundings.

``next_effects(state, around)`` says which records follow from the state alone, which calls have to be under way, and
which have to be ended. Whoever drives it appends the records, folds them, and asks again until none are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from actors.domain import records as r
from actors.domain.calls import ModelCall, ToolCall
from actors.domain.messages import StopReason
from actors.domain.outputs import OutputFormat
from actors.domain.policies import OnBusy
from actors.domain.records import Draft
from actors.domain.session import SessionState
from actors.errors import OutputInvalid
from actors.policy.budgets import FOR_MODEL
from actors.policy.continuation import CONTINUATION_PROMPT, looks_incomplete
from actors.policy.structured import repair_prompt
from actors.session import budgets, compaction, credentials, titles, tool_steps, unanswered, unpriced, workspace
from actors.session.failure import Failure
from actors.session.state import State
from actors.session.surroundings import Surroundings
from actors.session.tool_call import CallPhase
from actors.session.turn import Stage, Turn
from actors.session.turn_drafts import call_model, cancelled, completed, failed, may_retry, stopped
from actors.session.under_way import running


@dataclass(frozen=True, slots=True)
class Effects:
    """What follows. ``drafts`` come first: while there are any, nothing else is to be done.

    Attributes:
        running: Calls that have to be under way.
        ending: Those of them that have to be ended.
        needs_model_host: The next record needs ``Surroundings.model_host``.
        needs_site: The next record needs ``Surroundings.site``.
    """

    drafts: tuple[Draft, ...] = ()
    running: tuple[ModelCall | ToolCall, ...] = ()
    ending: bool = False
    needs_model_host: bool = False
    needs_site: bool = False


def next_effects(state: State, around: Surroundings) -> Effects:
    """What follows from the state."""
    turn = state.turn
    if turn is None:
        over = budgets.lease_over(state)
        return Effects(drafts=(over,) if over is not None else _next_turn(state))
    if turn.ending is not None:
        drafts = tuple(_close(state, turn))
        return Effects(drafts=drafts) if drafts else Effects(running=running(state, around), ending=True)
    if turn.timed_out:
        return Effects(drafts=(_end(turn, "failed", "time_limit", _time_limit_text(state)),))
    drafts = (*unanswered.expired(state, turn),)
    if not drafts and state.lifecycle is SessionState.active:
        needs_host = turn.stage in {Stage.model, Stage.answered} and not state.actions
        needs_host = needs_host or turn.for_model is not None
        if needs_host and around.model_host is None and around.model_error is None:
            return Effects(needs_model_host=True)
        drafts = tuple(_step(state, turn, around))
    elif not drafts and state.lifecycle is SessionState.paused:
        # Its budget may change meanwhile; a question that this answers is one that nobody else can.
        drafts = tuple(budgets.settled(state, turn))
    if drafts:
        return Effects(drafts=drafts)
    return Effects(running=running(state, around), needs_site=workspace.is_wanted(state, turn, around))


def _next_turn(state: State) -> tuple[Draft, ...]:
    if state.lifecycle is not SessionState.active or not (state.queue or state.compacting or state.titling):
        return ()
    title = state.titling and state.compacting is None
    data = r.TurnStarted.Data(inputs=() if state.compacting or title else (state.queue[0].input_id,), title=title)
    return (Draft(r.TurnStarted, data, turn_id=f"turn-{state.turns + 1}"),)


def _time_limit_text(state: State) -> str:
    return f"The turn took longer than its limit of {state.config.max_turn_s:g} s"


def _end(turn: Turn, then: str, code: str, reason: str) -> Draft:
    how = "failed" if then == "failed" else "cancelled"
    return Draft(r.TurnCancelling, r.TurnCancelling.Data(reason=reason, then=how, code=code), turn.turn_id)


def _step(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    if turn.lacks_key:
        yield from credentials.steps(state, turn, around)
    elif turn.lacks_price:
        yield from unpriced.steps(state, turn, around)
    elif turn.stage is Stage.model:
        yield from _model_step(state, turn, around)
    elif turn.stage is Stage.tools:
        yield from tool_steps.steps(state, turn, around)
    elif turn.stage is Stage.answered:
        yield from _answered(state, turn, around)


def _steered(state: State) -> tuple[str, ...]:
    return tuple(item.input_id for item in state.queue if item.on_busy is OnBusy.steer)


def _model_step(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    if state.actions:
        yield from budgets.settled(state, turn)
        return
    if turn.title:
        yield from titles.steps(state, turn, around)
        return
    if state.compacting is not None and not turn.asks_again:
        yield from compaction.steps(state, turn, around, state.compacting)
        return
    if not turn.inputs:
        yield completed(turn)
        return
    due = compaction.before_next_call(state, turn)
    if due is not None:
        yield Draft(r.SessionCompacting, due, turn.turn_id)
        return
    stop = _reason_to_stop(state, turn)
    if stop is not None:
        yield stop
        return
    steered = _steered(state)
    if steered:
        yield Draft(r.TurnSteered, r.TurnSteered.Data(inputs=steered), turn.turn_id)
        return
    if state.rate_limited:
        return
    if budgets.is_used_up(state, FOR_MODEL):
        yield from budgets.held(state, turn, FOR_MODEL)
        return
    again = turn.failure is not None and turn.call_id != ""
    yield call_model(state, turn, around, again=again)


def _reason_to_stop(state: State, turn: Turn) -> Draft | None:
    config = state.config
    if turn.parse_failures > config.max_parse_retries:
        return stopped(
            turn, "malformed_arguments", f"The model sent malformed tool arguments {turn.parse_failures} times in a row"
        )
    if turn.repeats >= 2 * config.duplicate_call_threshold:
        return stopped(turn, "repeated_call", f"The model sent the same tool call {turn.repeats} times in a row")
    failure = turn.failure
    if failure is None:
        if turn.round >= config.max_rounds:
            return stopped(turn, "max_rounds", f"Max tool rounds ({config.max_rounds}) exceeded")
        return None
    if may_retry(state, turn):
        return None
    if turn.failures > 1 and not failure.host_lost:
        reason = (
            f"The circuit breaker opened after {turn.failures} failed attempts of the model call: {failure.message}"
        )
        return failed(turn, failure, reason)
    return failed(turn, failure)


def _answered(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    rounds_left = turn.round < state.config.max_rounds
    steered = _steered(state)
    if steered and rounds_left:
        yield Draft(r.TurnSteered, r.TurnSteered.Data(inputs=steered), turn.turn_id)
        return
    more = rounds_left and turn.continuations < state.config.max_continuations and around.model_host is not None
    # An answer is there: nobody is asked for more only to have it go on.
    more = more and not budgets.is_used_up(state, FOR_MODEL)
    if turn.output is not None:
        yield _structured(state, turn, turn.output, around, may_repair=more)
    elif more and _is_incomplete(turn):
        yield call_model(state, turn, around, nudge=CONTINUATION_PROMPT)
    else:
        yield completed(turn)


def _structured(state: State, turn: Turn, output: OutputFormat, around: Surroundings, *, may_repair: bool) -> Draft:
    """An answer in the form that was asked for ends the turn; another one is to be repaired."""
    problem = turn.output_problem
    if problem is None:
        return completed(turn)
    if turn.stop_reason is StopReason.refusal:
        problem = "the model refused"
    elif may_repair:
        return call_model(state, turn, around, nudge=repair_prompt(output, problem))
    error_args = (state.session_id, turn.turn_id, problem)
    failure = Failure(code="OutputInvalid", message=problem, error_args=error_args, retryable=False, host_lost=False)
    return failed(turn, failure, OutputInvalid(*error_args).message)


def _is_incomplete(turn: Turn) -> bool:
    if turn.parts:
        # Nobody who stopped at an announcement wrote that much.
        return turn.stop_reason is StopReason.max_tokens
    return looks_incomplete(turn.text, turn.stop_reason, turn.used_tools)


def _close(state: State, turn: Turn) -> Iterator[Draft]:
    """Everything a turn that is being ended has to settle before it may end."""
    ending = turn.ending
    if ending is None or turn.model_call is not None:
        return
    if state.actions:
        yield from unanswered.given_up(state, turn, ending.reason)
        return
    open_calls = [call for call in turn.calls if call.phase is not CallPhase.settled]
    if open_calls:
        yield from tool_steps.closing(turn, open_calls, ending.reason)
        return
    why = Failure(code=ending.code, message=ending.reason, retryable=False, host_lost=False)
    yield from compaction.given_up(state, turn, why)
    yield from titles.given_up(state, turn, why)
    yield failed(turn, why) if ending.then == "failed" else cancelled(turn, ending.reason)
