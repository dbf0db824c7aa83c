"""Budgets of whole families, through a store: whatever happens in whatever order, nothing is lost and nothing is made.

Sessions are real, what drives them is a table of dice: they work, start children, end, are destroyed and die in the
middle, and what they tell each other is delivered late, in any order, and twice.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.domain import commands as c
from actors.domain.actions import Resolution
from actors.domain.budgets import Amounts, Budget
from actors.domain.calls import HostRef, ModelCall, ModelOutcome
from actors.domain.children import NewChild
from actors.domain.commands import COMMAND
from actors.domain.ids import new_ulid
from actors.domain.journal import Appended, Letter
from actors.domain.letters import ReturnLease
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, TokenUsage, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.records import decode_record
from actors.domain.session import SessionConfig
from actors.errors import CommandConflict, GreenroomError, InvalidRequest
from actors.session.budgets import left, standing, used
from actors.session.committer import part_of
from actors.session.fold import fold
from actors.session.own_tools import with_own
from actors.session.plan import CallAnswered, CommandGiven, Happening, Plan, WorldChanged, plan
from actors.session.projection import new_session
from actors.session.state import State, initial
from actors.session.surroundings import Surroundings
from actors.storage.backend import Backend
from actors.storage.memory import MemoryBackend
from actors.storage.open import open_backend
from tests.unit.session.world import ALL_TOOLS, answered, model_says, plain_outcome

TENANT = "default"
ROOT = Budget(tokens=10_000, tool_calls=60)
_AROUND = Surroundings(
    tools=with_own(ALL_TOOLS.values()),
    default_model=LlmConfig.of("scripted/script"),
    model_host=HostRef(host_id="models", incarnation="m1"),
)


class Family:
    """Sessions of one store, each a process of its own that may die.

    Attributes:
        processes: What each living session's process has in memory, by journal.
        gone: What destroyed sessions had used.
    """

    def __init__(self, backend: Backend, seed: int) -> None:
        self.backend = backend
        self.rng = Random(seed)
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.term = backend.next_term()
        self.processes: dict[str, Plan] = {}
        self.epochs: dict[str, int] = {}
        self.gone = Amounts()
        config = SessionConfig(budget=ROOT, permission_policy=PermissionPolicy.permissive())
        self.root = new_ulid()
        born = new_session(TENANT, self.root, self.root, config, now=self.now, cause="create")
        backend.create(TENANT, "create", "d", [born])
        self.wake(self.root)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def wake(self, journal_id: str) -> None:
        """A process takes the session from where its journal is."""
        self.epochs[journal_id] = self.backend.acquire(TENANT, journal_id, self.term, 1).epoch
        state = self.folded(journal_id).model_copy(update={"epoch": self.epochs[journal_id]})
        self.processes[journal_id] = Plan(before=state, state=state)
        self.happen(journal_id, WorldChanged())

    def folded(self, journal_id: str) -> State:
        records = self.backend.records(TENANT, journal_id, after=0, limit=1000)
        assert len(records) < 1000
        return fold(initial(), [decode_record(record.body) for record in records])

    def happen(self, journal_id: str, *happenings: Happening) -> Plan:
        """One append; sometimes the process dies before it hears of that."""
        before = self.processes[journal_id].state
        made = plan(before, happenings, _AROUND, now=self.now, epoch=self.epochs[journal_id])
        if made.records:
            (answer,) = self.backend.append([part_of(made, self.epochs[journal_id])])
            if not isinstance(answer, Appended):
                # The command was given before: as a process does, it is asked what came of it.
                assert isinstance(answer.error, CommandConflict)
                return made
        self.processes[journal_id] = made
        for new in made.creations:
            self.wake(new.row.journal_id)
        if self.rng.random() < 0.1:
            self.wake(journal_id)
        return made

    def tell(self, journal_id: str, command: c.Command) -> None:
        made = self.happen(journal_id, CommandGiven(command))
        for _, reply in made.replies:
            assert not isinstance(reply, GreenroomError) or isinstance(reply, InvalidRequest), reply

    # --- what happens ------------------------------------------------------------------------------------------------

    def step(self) -> None:
        self.now += timedelta(seconds=self.rng.choice([0, 1, 30]))
        journal_id = self.rng.choice(sorted(self.processes))
        kinds = {self.work: 12, self.spawn: 4, self.deliver: 5, self.complete: 1, self.destroy: 2}
        self.rng.choices(list(kinds), list(kinds.values()))[0](journal_id)

    def work(self, journal_id: str) -> None:
        """Its next call ends, and takes something; without one it is given something to do."""
        process = self.processes[journal_id]
        if process.effects.running:
            call = self.rng.choice(process.effects.running)
            outcome = self._answer() if isinstance(call, ModelCall) else plain_outcome(call)
            self.happen(journal_id, CallAnswered(answered(call, outcome)))
        elif process.state.actions:
            action = process.state.actions[0]
            self.tell(
                journal_id,
                c.ResolveAction(command_id=new_ulid(), action_id=action.action_id, resolution=Resolution.reject),
            )
        elif not process.state.lifecycle.ended and process.state.turn is None:
            self.tell(journal_id, c.Send(command_id=new_ulid(), message=Message.user("go")))

    def _answer(self) -> ModelOutcome:
        names = self.rng.choice([(), ("look", "look"), ("act",)])
        message = Message.assistant(
            "Yes.", *(ToolUseBlock(id=f"t{n}", name=name, input={}) for n, name in enumerate(names))
        )
        tokens = self.rng.choice([1, 40, 700])
        return model_says(message, usage=TokenUsage(prompt_tokens=tokens, total_tokens=tokens))

    def spawn(self, journal_id: str) -> None:
        if self.processes[journal_id].state.lifecycle.ended:
            return
        budgets = (None, None, Budget(tokens=300), Budget(tokens=50, tool_calls=2), Budget(tool_calls=1))
        children = tuple(
            NewChild(
                child_id=(name := new_ulid()),
                child_journal_id=name,
                task=self.rng.choice([None, Message.user("do it"), Message.user("do it")]),
                config=SessionConfig(budget=self.rng.choice(budgets), permission_policy=PermissionPolicy.permissive()),
            )
            for _ in range(self.rng.choice([1, 1, 2, 3]))
        )
        self.tell(journal_id, c.SpawnChildren(command_id=new_ulid(), children=children))

    def start(self, journal_id: str, *budgets: Budget) -> list[str]:
        """Children without a task."""
        names = [new_ulid() for _ in budgets]
        children = tuple(
            NewChild(child_id=name, child_journal_id=name, config=SessionConfig(budget=budget))
            for name, budget in zip(names, budgets, strict=True)
        )
        self.tell(journal_id, c.SpawnChildren(command_id=new_ulid(), children=children))
        return names

    def deliver(self, _: str) -> None:
        """A message is handed over; sometimes it is not forgotten then, and comes again."""
        waiting = self.letters()
        if waiting:
            target, letter = self.rng.choice(waiting)
            if target in self.processes:
                self.tell(target, COMMAND.validate_json(letter.body))
            if self.rng.random() < 0.7:
                self.backend.delivered([(letter.tenant, letter.journal_id, letter.seq)])

    def complete(self, journal_id: str) -> None:
        if journal_id != self.root and not self.processes[journal_id].state.lifecycle.ended:
            self.tell(journal_id, c.Complete(command_id=new_ulid()))

    def destroy(self, journal_id: str) -> None:
        """Mostly one for whom something is on its way, or has just come."""
        receivers = [target for target, _ in self.letters() if target in self.processes]
        if receivers and self.rng.random() < 0.8:
            journal_id = self.rng.choice(receivers)
        if journal_id != self.root:
            self.remove(journal_id)

    def remove(self, journal_id: str) -> None:
        self.gone += used(self.processes.pop(journal_id).state)
        self.backend.destroy(TENANT, journal_id, new_ulid(), "d")

    # --- what there is -----------------------------------------------------------------------------------------------

    def letters(self) -> list[tuple[str, Letter]]:
        """All messages on their way, and to whom."""
        receivers = self.backend.receivers(after=None, limit=1000)
        return [
            (target, letter)
            for tenant, target in receivers
            for letter in self.backend.letters(tenant, target, limit=1000)
        ]

    def on_its_way(self) -> Amounts:
        """What has left its sender and is in no receiver's journal."""
        total = Amounts()
        for target, letter in self.letters():
            said = COMMAND.validate_json(letter.body)
            if isinstance(said, ReturnLease) and target in self.processes:
                known = self.backend.first_outcome(TENANT, target, said.command_id)
                total += said.amounts if known is None else Amounts()
        return total

    def check(self) -> None:
        """Nothing is lost, and nothing is made: what was used, is left, and is on its way makes the root's budget."""
        states = [process.state for process in self.processes.values()]
        there = self.gone + self.on_its_way()
        for state in states:
            there += used(state) + Amounts.of(left(state))
            row = standing(state)
            assert row is not None
            assert all(bound >= 0 for bound in row.remaining.bounds.values())
            assert row == self.backend.row(TENANT, state.journal_id).budget  # pyright: ignore[reportOptionalMemberAccess] - it is there
            assert min(row.leased.each.values()) >= 0
        assert {one: there.each[one] for one in ROOT.bounds} == ROOT.bounds


def _lived(backend: Backend, seed: int, steps: int) -> None:
    family = Family(backend, seed)
    for _ in range(steps):
        family.step()
        family.check()
    while family.letters():
        family.deliver("")
    family.check()
    assert family.on_its_way() == Amounts()


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 50))
def test_what_a_family_used_and_has_left_is_always_its_roots_budget(seed: int, steps: int) -> None:
    backend = MemoryBackend()
    backend.open()
    _lived(backend, seed, steps)


@pytest.mark.parametrize("seed", range(2))
def test_it_is_so_in_a_database(seed: int, tmp_path: Path) -> None:
    with closing(open_backend(str(tmp_path))) as backend:
        backend.open()
        _lived(backend, seed, 60)


@pytest.mark.parametrize("when", ["taken", "on its way", "not sent yet"])
def test_what_goes_back_to_a_session_that_is_destroyed_reaches_the_one_above_it_once(
    backend: Backend, when: str
) -> None:
    backend.open()
    family = Family(backend, 0)
    (child,) = family.start(family.root, Budget(tokens=1000))
    (grandchild,) = family.start(child, Budget(tokens=300))
    if when != "not sent yet":
        family.complete(grandchild)
    if when == "taken":
        ((_, letter),) = family.letters()
        family.tell(child, COMMAND.validate_json(letter.body))
    family.remove(child)
    if when == "not sent yet":
        family.complete(grandchild)
    family.check()
    while family.letters():
        family.deliver("")

    family.check()
    assert family.processes[family.root].state.account.leased == Amounts()
