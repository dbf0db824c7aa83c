"""The steps of a round of tool calls: who may run, who has to be asked, what starts now.

Pure. Decisions come from ``actors.policy``; the order of steps is decided here. Calls of one answer run side by
side when all of them are pure, else one by one in the model's order, those of a batch side by side; approvals are asked
for all at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.domain import records as r
from actors.domain.actions import ActionKind, Resolution
from actors.domain.calls import HostRef, Outcome
from actors.domain.command import digest_of_json
from actors.domain.lanes import TaskHandlerMode
from actors.domain.messages import WITHHELD
from actors.domain.permissions import PermissionDecision
from actors.domain.policies import OnInDoubt
from actors.domain.records import Draft
from actors.domain.security import OnInjection
from actors.domain.tools import EffectClass
from actors.policy.budgets import FOR_TOOLS
from actors.policy.confirmation import requires_confirmation
from actors.policy.effects import effect_of
from actors.policy.permissions import decide_for, is_forbidden
from actors.session import asking, budgets, external, held, own_tools, sampling, tool_drafts
from actors.session.batches import BATCH, next_group
from actors.session.lanes import Gate, alerts, given_up
from actors.session.state import State
from actors.session.surroundings import Surroundings
from actors.session.tool_call import CallPhase, ToolCallState
from actors.session.tool_drafts import completed, denied, started
from actors.session.turn import Turn
from actors.session.workspace import binding, is_asked_about, loss, path_of, site_of

MAX_TOOL_ATTEMPTS = 3
"""How often a pure or idempotent call is run when its host dies under it."""

MAX_ARGS_BYTES = 128 * 1024
"""Largest arguments of one answer's calls together: journaled with the answer, and again where an approval is asked."""


def steps(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    """The records that follow for the open round, one settled matter at a time."""
    settled = 0
    for draft in (*alerts(state, turn), *budgets.settled(state, turn)):
        yield draft
        settled += 1
    for call in turn.calls:
        for draft in _under_way(state, turn, call):
            yield draft
            settled += 1
        draft = _judge(state, turn, call, around)
        if draft is not None:
            yield draft
            settled += 1
            if draft.kind in {r.ToolCallDenied, r.WorkspaceBound}:
                return
    for draft in sampling.steps(state, turn, around):
        yield draft
        settled += 1
    if not settled:
        yield from _starts(state, turn, around)


def _under_way(state: State, turn: Turn, call: ToolCallState) -> Iterator[Draft]:
    """What follows for a call that has begun, whatever its host does with it."""
    if call.offer is not None and call.phase is CallPhase.started:
        yield from external.following(turn, call)
    elif call.phase is CallPhase.input_required:
        yield from asking.steps(state, turn, call)
    elif call.phase is CallPhase.held:
        yield from held.steps(state, turn, call)
    elif call.own and call.has_come:
        yield own_tools.ended(turn, call)


def _judge(state: State, turn: Turn, call: ToolCallState, around: Surroundings) -> Draft | None:
    """What has to be recorded before the call can start, or None."""
    if call.phase is CallPhase.in_doubt:
        return _doubt(state, turn, call, around)
    if call.phase is CallPhase.decided:
        return _judge_decided(state, turn, call, around)
    if call.phase is CallPhase.delayed or call.answered:
        allowed = call.name in around.tools and _permission(state, call, around) is not PermissionDecision.deny
        end = asking.ended if call.answered else given_up
        return None if allowed else end(turn, call, "its tool is gone, or is not allowed any more")
    if call.phase is not CallPhase.proposed:
        return None
    unusable = _unusable(turn, call)
    if unusable is not None:
        return unusable
    if call.name not in around.tools:
        return tool_drafts.unknown(turn, call, around.tools)
    if _is_repeat(state, turn, call):
        return tool_drafts.repeated(turn, call)
    decision = _permission(state, call, around)
    if decision is PermissionDecision.deny:
        return tool_drafts.forbidden(turn, call)
    if decision is PermissionDecision.ask and requires_confirmation(state.config.confirmation, call.name, call.args):
        return _ask(state, turn, call)
    return None


def _unusable(turn: Turn, call: ToolCallState) -> Draft | None:
    if call.parse_error is not None:
        return denied(turn, call, "malformed", f"Error: malformed tool arguments: {call.parse_error}. Send valid JSON.")
    if WITHHELD in call.args:
        return denied(turn, call, "withheld", f"The arguments cannot be used: {call.args[WITHHELD]}.")
    return None


def _judge_decided(state: State, turn: Turn, call: ToolCallState, around: Surroundings) -> Draft | None:
    """What an approval does not overrule: with other arguments, or meanwhile, the call may be one that never runs."""
    if call.decision is not Resolution.approve:
        return tool_drafts.rejected(turn, call)
    if call.name not in around.tools:
        return tool_drafts.unknown(turn, call, around.tools)
    if _permission(state, call, around) is PermissionDecision.deny:
        return tool_drafts.forbidden(turn, call)
    return None


def _permission(state: State, call: ToolCallState, around: Surroundings) -> PermissionDecision:
    if call.name == BATCH.name:
        # What counts is said of each call within.
        forbidden = is_forbidden(state.config, around.global_policy, call.name)
        return PermissionDecision.deny if forbidden else PermissionDecision.allow
    return decide_for(state.config, around.global_policy, call.name, call.args, workspace=path_of(state, around))


def _is_repeat(state: State, turn: Turn, call: ToolCallState) -> bool:
    """Whether the same call was settled so often in a row that running it once more makes no sense."""
    if turn.repeats < state.config.duplicate_call_threshold:
        return False
    return turn.repeated == digest_of_json([call.name, call.args])


def _ask(state: State, turn: Turn, call: ToolCallState) -> Draft:
    timeout_ms = state.config.confirmation.default_timeout_ms
    return _request(state, turn, call, ActionKind.approval, timeout_ms=timeout_ms)


def _request(
    state: State, turn: Turn, call: ToolCallState, kind: ActionKind, *, timeout_ms: int | None = None, detail: str = ""
) -> Draft:
    # A workspace may be lost more than once before the same attempt.
    nth = state.seq if kind is ActionKind.workspace_lost else call.attempt
    data = tool_drafts.question(state, turn, call, kind, call.args, nth, timeout_ms=timeout_ms, detail=detail)
    return Draft(r.ActionRequested, data, turn.turn_id)


# --- starting --------------------------------------------------------------------------------------------------------


def _starts(state: State, turn: Turn, around: Surroundings) -> Iterator[Draft]:
    tools = around.tools
    waiting = [call for call in turn.calls if call.phase is not CallPhase.settled and not call.holds_others]
    side_by_side = all(
        call.name in tools and effect_of(tools[call.name].definition, call.args) is EffectClass.pure for call in waiting
    )
    gate, purse = Gate(state, turn), budgets.Purse(state)
    for call in waiting if side_by_side else next_group(waiting):
        if not call.may_begin:
            continue
        if not purse.admits(call):
            yield from budgets.held(state, turn, FOR_TOOLS)
            return
        if call.name in own_tools.OWN_TOOLS:
            yield from own_tools.begun(state, turn, call, around)
            # A child's lease is taken from the same budget: those beside it begin by what is left then.
            return
        if not gate.admits(call):
            # Those behind it wait with it: lanes limit, they never reorder.
            return
        draft = _begun(state, turn, call, around)
        if draft is not None:
            yield draft
        if draft is None or draft.kind is not r.ToolCallStarted:
            return


def _begun(state: State, turn: Turn, call: ToolCallState, around: Surroundings) -> Draft | None:
    """The next attempt begins, with whoever carries out the calls of its lane now; or what has to come before that."""
    spec = around.tools[call.name]
    handler = state.config.queue.handler_config(call.lane)
    if handler.mode is TaskHandlerMode.external and call.asking is None:
        return external.begun(state, turn, call, spec, external.OUTSIDE, handler)
    host = asking.holder(call) or spec.host or _workspace_host(state, turn, call, around)
    if not isinstance(host, HostRef):
        return host
    if handler.mode is TaskHandlerMode.internal or call.asking is not None:
        return started(turn, call, spec, host, offer=call.offer)
    return external.begun(state, turn, call, spec, host, handler)


def _workspace_host(state: State, turn: Turn, call: ToolCallState, around: Surroundings) -> HostRef | Draft | None:
    """The host of the session's workspace, or the record that comes first; None while somebody has to say more."""
    site = site_of(state, around)
    if site is None or is_asked_about(state):
        return None
    if site.host is None:
        return _request(state, turn, call, ActionKind.workspace_lost, detail=loss(state, site))
    return binding(state, turn, around, site) or site.host


# --- doubt -----------------------------------------------------------------------------------------------------------


def _doubt(state: State, turn: Turn, call: ToolCallState, around: Surroundings) -> Draft | None:
    """What becomes of a call that may or may not have run."""
    if any(action.call_index == call.index for action in state.actions):
        # Somebody was asked, and is waited for: also when the tool that was gone is there again.
        return None
    there = call.name in around.tools
    policy = state.config.on_in_doubt
    harmless = call.untouched or call.effect is not EffectClass.unsafe
    may_repeat = call.attempt - call.retries - call.rounds < MAX_TOOL_ATTEMPTS
    if harmless and may_repeat and there and call.decision is not Resolution.reject:
        return _begun(state, turn, call, around)
    if call.untouched:
        return _not_run(turn, call, call.reason or call.doubt or "its host went away")
    if call.decision is Resolution.retry or (policy is OnInDoubt.retry and call.attempt < MAX_TOOL_ATTEMPTS):
        return _begun(state, turn, call, around) if there else _unknown(turn, call, "the tool is gone")
    if call.decision is Resolution.answer:
        return completed(turn, call, Outcome.ok, call.value or "")
    if call.decision is not None:
        return _unknown(turn, call, call.reason or "skipped")
    if policy is OnInDoubt.ask:
        return _request(state, turn, call, ActionKind.in_doubt, detail=call.doubt or "")
    if policy is OnInDoubt.fail:
        reason = f"The outcome of {call.name} is unknown: {call.doubt}"
        return Draft(
            r.TurnCancelling, r.TurnCancelling.Data(reason=reason, then="failed", code="in_doubt"), turn.turn_id
        )
    return _unknown(turn, call, call.doubt or "its host went away")


def _not_run(turn: Turn, call: ToolCallState, why: str) -> Draft:
    return completed(
        turn, call, Outcome.error, f"The call has had no effect and was not run again: {why}.", exit_code=1
    )


def _unknown(turn: Turn, call: ToolCallState, why: str) -> Draft:
    text = f"The outcome of this call is unknown ({why}). It may or may not have run: verify before you go on."
    return completed(turn, call, Outcome.unknown, text, exit_code=1)


# --- ends ----------------------------------------------------------------------------------------------------------


def closing(turn: Turn, calls: list[ToolCallState], reason: str) -> Iterator[Draft]:
    """Settle what never started; started calls are left to whoever runs them."""
    for call in calls:
        if call.phase is CallPhase.in_doubt:
            yield (_not_run if call.untouched else _unknown)(turn, call, call.doubt or reason)
        elif call.own and call.outside:
            yield from external.cancelled(turn, call, reason)
        elif call.own:
            if call.has_come or not call.holds_others:
                yield own_tools.ended(turn, call) if call.has_come else own_tools.cancelled(turn, call, reason)
        elif call.phase is CallPhase.delayed:
            yield given_up(turn, call, reason)
        elif call.phase is CallPhase.input_required:
            yield asking.ended(turn, call, reason)
        elif call.phase is CallPhase.held:
            yield held.released(turn, call, OnInjection.block)
        elif call.phase is not CallPhase.started:
            yield denied(turn, call, "cancelled", f"The call of {call.name} was not run: {reason}.")
