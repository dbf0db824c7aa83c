"""A session without a driver: steps of any kind, in any order, become appends, as ``plan`` says.

Between hypothesis, which invents steps, and the core. A step that makes no sense where it falls does something near.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from actors.domain import commands as c
from actors.domain import records as r
from actors.domain.budgets import Budget, Lease
from actors.domain.calls import (
    Attached,
    CallKey,
    CallStatus,
    HostRef,
    ModelCall,
    ModelOutcome,
    Outcome,
    ToolCall,
    ToolOutcome,
)
from actors.domain.children import ChildOutcome, ChildReport
from actors.domain.journal import OutboxRow
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, StopReason, TokenUsage
from actors.domain.session import SessionConfig
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import CredentialMissing, GreenroomError
from actors.session.effects import Effects
from actors.session.fold import fold
from actors.session.own_tools import with_own
from actors.session.plan import CallAnswered, CallLost, CommandGiven, Happening, Plan, TimersDue, WorldChanged, plan
from actors.session.ports import ToolSpec
from actors.session.projection import new_session
from actors.session.state import State, initial
from actors.session.surroundings import Surroundings

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL = LlmConfig.of("scripted/script")
MODELS = HostRef(host_id="models", incarnation="m1")
TOOLS = HostRef(host_id="tools", incarnation="t1")

Call = ModelCall | ToolCall


def spec(name: str, effect: EffectClass) -> ToolSpec:
    return ToolSpec(definition=ToolDefinition(name=name, effect=effect), host=TOOLS)


ALL_TOOLS = {
    "look": spec("look", EffectClass.pure),
    "put": spec("put", EffectClass.idempotent),
    "act": spec("act", EffectClass.unsafe),
}
WITH_OWN = with_own(ALL_TOOLS.values())


@dataclass
class World:
    """One journal and all that surrounds it.

    Attributes:
        batches: The appends, each as the records it carried.
        letters: For each append, what it told the parent.
        task: What a child was born to do; None makes a session without a parent.
        lease: What a child has of its parent's budget.
        seen: Every call that ever had to be under way, oldest first.
        refused: What commands were refused with.
    """

    config: SessionConfig = field(default_factory=SessionConfig)
    around: Surroundings = field(
        default_factory=lambda: Surroundings(tools=WITH_OWN, default_model=MODEL, model_host=MODELS)
    )
    now: datetime = START
    epoch: int = 1
    task: Message | None = None
    lease: Budget | None = None
    state: State = field(init=False)
    batches: list[tuple[r.Record, ...]] = field(init=False)
    letters: list[tuple[OutboxRow, ...]] = field(init=False)
    effects: Effects = field(default_factory=Effects)
    plans: list[Plan] = field(default_factory=list[Plan])
    seen: dict[CallKey, Call] = field(default_factory=dict[CallKey, Call])
    refused: list[GreenroomError] = field(default_factory=list[GreenroomError])
    commands: int = 0

    def __post_init__(self) -> None:
        parent = State(tenant="default", session_id="p", journal_id="P") if self.task is not None else None
        lease = Lease(amounts=self.lease, lenders=("P", "PP"), for_task=True) if self.lease is not None else None
        born = new_session(
            "default", "s", "J", self.config, now=self.now, cause="P:2", parent=parent, task=self.task, lease=lease
        )
        first = tuple(r.decode_record(record.body) for record in born.records)
        self.state = fold(initial(), first)
        self.batches, self.letters = [first], [()]

    @property
    def records(self) -> list[r.Record]:
        return [record for batch in self.batches for record in batch]

    @property
    def running(self) -> tuple[Call, ...]:
        return self.effects.running

    # --- what happens ------------------------------------------------------------------------------------------------

    def happen(self, *happenings: Happening) -> Plan:
        """One append's worth of happenings."""
        made = plan(self.state, happenings, self.around, now=self.now, epoch=self.epoch)
        self.state, self.effects = made.state, made.effects
        self.plans.append(made)
        if made.records:
            self.batches.append(tuple(made.records))
            self.letters.append(tuple(made.outbox))
        self.seen |= {call.key: call for call in self.running}
        self.refused += [reply for _, reply in made.replies if isinstance(reply, GreenroomError)]
        return made

    def identity(self) -> dict[str, Any]:
        self.commands += 1
        return {"command_id": f"c{self.commands}", "fresh": self.commands % 2 == 0}

    def tell(self, command: c.Command) -> c.Reply:
        """Give one command; raises what it is refused with."""
        made = self.happen(CommandGiven(command))
        _, reply = made.replies[0]
        if isinstance(reply, GreenroomError):
            raise reply
        return reply

    def send(self, text: str = "go", **values: Any) -> str:
        """Give an input; returns its id."""
        command = c.Send(**self.identity(), message=Message.user(text), **values)
        self.tell(command)
        return command.command_id

    def answer(self, call: Call, message: Message | str, **values: Any) -> Plan:
        """The model's answer to a running call."""
        return self.happen(CallAnswered(answered(call, model_says(message, **values))))

    def result(self, call: Call, content: str = "result", outcome: Outcome = Outcome.ok) -> Plan:
        """The result of a running tool."""
        done = ToolOutcome(outcome=outcome, content=content)
        return self.happen(CallAnswered(answered(call, done)))

    def lose(self, call: Call, *, untouched: bool = False) -> Plan:
        """The host of a running call is gone."""
        return self.happen(CallLost(answered(call, None), "the host died", untouched=untouched))

    @property
    def silent(self) -> list[r.ChildStarted]:
        """The children that have a task and have not reported."""
        told = {record.data.child_journal_id for record in self.records if isinstance(record, r.ChildCompleted)}
        started = [record for record in self.records if isinstance(record, r.ChildStarted) and record.data.task]
        return [record for record in started if record.data.child_journal_id not in told]

    def report(self, child: r.ChildStarted, **values: Any) -> Plan:
        """A child's answer comes."""
        return self.happen(CommandGiven(reported(child, **values)))

    def pass_time(self, seconds: float) -> Plan:
        """Time passes, and timers fire."""
        self.now += timedelta(seconds=seconds)
        return self.happen(TimersDue())

    def crash(self, *, upto: int | None = None) -> Plan:
        """Lose everything but the first ``upto`` appends, and activate the session again."""
        self.batches = self.batches[: upto if upto is not None else len(self.batches)]
        self.letters = self.letters[: len(self.batches)]
        self.state = fold(initial(), [r.decode_record(r.encode_record(record)) for record in self.records])
        self.epoch += 1
        self.state = self.state.model_copy(update={"epoch": self.epoch})
        return self.happen(WorldChanged())

    def surround(self, **changes: Any) -> Plan:
        """The world changes."""
        self.around = replace(self.around, **changes)
        return self.happen(WorldChanged())

    def settle(self, *, lose: bool = False) -> None:
        """Let everything end as soon as it can: answer or lose each call, decide each action, resume.

        Raises:
            AssertionError: the session does not come to an end.
        """
        self.around = replace(self.around, model_host=MODELS, model_error=None, default_model=MODEL)
        self.happen(WorldChanged())
        for _ in range(2000):
            if not self._one_end(lose):
                break
        else:
            raise AssertionError("the session does not come to an end")

    def _one_end(self, lose: bool) -> bool:
        if self.state.lifecycle.value == "paused":
            self.tell(c.Resume(**self.identity()))
        elif self.running:
            call = self.running[-1]
            if lose:
                self.lose(call)
            else:
                self.happen(CallAnswered(answered(call, plain_outcome(call, cancelled=self.effects.ending))))
        elif self.state.actions:
            action = self.state.actions[0]
            how = {"in_doubt": "skip", "input": "cancel"}.get(action.kind, "reject")
            self.tell(c.ResolveAction(**self.identity(), action_id=action.action_id, resolution=how))  # pyright: ignore[reportArgumentType] - pydantic makes the enum
        elif self.state.waits_for_others:
            self._end_wait()
        else:
            return False
        return True

    def _end_wait(self) -> None:
        if self.state.wake_at is not None:
            self.pass_time((self.state.wake_at - self.now).total_seconds())
        else:
            waiting = {one for call in self.state.turn.calls for one in call.children} if self.state.turn else set()
            self.report(next(child for child in self.silent if child.data.child_journal_id in waiting))


def answered(call: Call, outcome: ModelOutcome | ToolOutcome | None) -> Attached:
    status = CallStatus.never_seen if outcome is None else CallStatus.settled
    if outcome is not None and outcome.outcome is Outcome.cancelled:
        status = CallStatus.cancelled
    return Attached(key=call.key, status=status, outcome=outcome)


def reported(child: r.ChildStarted, **values: Any) -> c.ReportChild:
    """What a child tells when its turn has ended."""
    base: dict[str, Any] = {"outcome": ChildOutcome.completed, "text": f"answer of {child.data.child_id}"}
    report = ChildReport(child_id=child.data.child_id, child_journal_id=child.data.child_journal_id, **(base | values))
    return c.ReportChild(command_id=f"{child.data.child_journal_id}:6", fresh=True, report=report)


def model_says(message: Message | str, **values: Any) -> ModelOutcome:
    said = Message.assistant(message) if isinstance(message, str) else message
    base: dict[str, Any] = {
        "outcome": Outcome.ok,
        "message": said,
        "stop_reason": StopReason.tool_use if said.tool_calls else StopReason.end_turn,
        "usage": TokenUsage(prompt_tokens=10, completion_tokens=5, total_tokens=15),
        "cost_usd": "0.001",
    }
    return ModelOutcome(**(base | values))


def model_fails(*, retryable: bool = True) -> ModelOutcome:
    return ModelOutcome(
        outcome=Outcome.error,
        error_code="ModelProtocolError",
        error="the answer was cut off",
        error_args=("scripted", "cut off"),
        retryable=retryable,
    )


def model_has_no_key(call: ModelCall) -> ModelOutcome:
    """The key that the model was given is gone."""
    missing = CredentialMissing(call.llm.name, call.llm.credential_id or "")
    return ModelOutcome(
        outcome=Outcome.error, error_code=missing.code, error=missing.message, error_args=tuple(missing.args)
    )


def model_is_unpriced() -> ModelOutcome:
    """Nobody knows its price, and nothing was sent."""
    return ModelOutcome(
        outcome=Outcome.error, error_code="ModelUnpriced", error="what does it cost?", error_args=(MODEL.name,)
    )


def model_is_full(window: int | None = None) -> ModelOutcome:
    """The prompt does not fit."""
    return ModelOutcome(
        outcome=Outcome.error,
        error_code="ContextExceeded",
        error="too long",
        error_args=("scripted", 400, "too long", window),
    )


def plain_outcome(call: Call, *, cancelled: bool = False) -> ModelOutcome | ToolOutcome:
    if isinstance(call, ModelCall):
        partial = Message.assistant("as far as I g")
        return ModelOutcome(outcome=Outcome.cancelled, message=partial) if cancelled else model_says("The end.")
    return ToolOutcome(outcome=Outcome.cancelled if cancelled else Outcome.ok, content="done")
