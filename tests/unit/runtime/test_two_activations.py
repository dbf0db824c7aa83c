"""Several activations of one journal at a time, each of which takes itself for the only one.

Real stores, session hosts and effect hosts; between them a network that delays, loses requests and replies, and brings
some requests twice. Tool hosts die and are replaced. Whatever the order, one history comes of it, and a tool that must
not run twice does not. A seed is one interleaving: nothing else is left to chance.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from actors.domain.actions import Resolution
from actors.domain.calls import (
    Attached,
    CallKey,
    Delta,
    Emit,
    HostRef,
    ModelCall,
    ModelOutcome,
    Outcome,
    ToolCall,
    ToolOutcome,
)
from actors.domain.commands import Command, ResolveAction, Send
from actors.domain.journal import Acquired, Appended, AppendPart, FirstOutcome
from actors.domain.messages import Message, Role, StopReason, TextBlock, ToolUseBlock, decode_messages
from actors.domain.permissions import PermissionPolicy
from actors.domain.records import decode_record
from actors.domain.session import Activity, SessionConfig
from actors.domain.tools import EffectClass, ToolDefinition
from actors.effect_host import EffectHost
from actors.errors import GreenroomError, HostGone, StoreUnavailable, TransportLost
from actors.session.fold import fold
from actors.session.ports import ToolSpec
from actors.session.state import initial
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from actors.storage.memory import MemoryBackend
from actors.storage.service import StoreService
from tests.unit.runtime.parts import LIMIT_S, MODEL, TENANT, create

T = TypeVar("T")

JOURNAL = "journal"
INPUTS = 3
SEEDS = 40
TROUBLE = 0.15
"""Share of requests, and of replies, that are lost; and of requests that come twice."""

LATE = 60
"""Moments within which a second copy of a request may come: longer than a call takes to be acknowledged."""

SETTLE_S = 0.05
"""For copies that are still on their way at the end; those of calls in dead processes never end."""

LINE = ToolDefinition(name="line", description="Append a line.", parameters={}, effect=EffectClass.unsafe)


@dataclass
class World:
    """What all activations share. ``runs``: how often the line of an input was appended."""

    store: StoreService
    dice: random.Random
    runs: Counter[str] = field(default_factory=Counter[str])
    models: EffectHost = field(init=False)
    tools: EffectHost = field(init=False)
    executor: Lines = field(init=False)
    duplicates: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])
    make_host: Callable[[str, Any], EffectHost] = EffectHost

    def __post_init__(self) -> None:
        self.models = EffectHost("models", Answers())
        self.start_tools()

    def start_tools(self) -> None:
        """A tool host in a process of its own."""
        self.executor = Lines(self)
        self.tools = self.make_host("tools", self.executor)

    def kill_tools(self) -> None:
        """Its process ends in the middle of whatever it does, and another takes its place."""
        self.executor.dead = True
        self.start_tools()

    async def passes(self) -> None:
        """A moment in which others go on."""
        for _ in range(self.dice.randrange(6)):
            await asyncio.sleep(0)


class Answers:
    """A model that calls the tool once for every input, then says that it is done."""

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ModelOutcome:
        assert isinstance(call, ModelCall)
        last = decode_messages(call.messages)[-1]
        asked = last.role is Role.user and any(isinstance(block, TextBlock) for block in last.content)
        use = ToolUseBlock(id="call", name="line", input={"text": last.text})
        return ModelOutcome(
            outcome=Outcome.ok,
            message=Message.assistant("", use) if asked else Message.assistant("done"),
            stop_reason=StopReason.tool_use if asked else StopReason.end_turn,
        )

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ModelOutcome:
        return ModelOutcome(outcome=Outcome.cancelled)


class Lines:
    """The tool. When its process is dead it does nothing any more, in the middle of a call too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.dead = False

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ToolOutcome:
        assert isinstance(call, ToolCall)
        await self._alive()
        self._world.runs[call.args["text"]] += 1
        await self._alive()
        return ToolOutcome(outcome=Outcome.ok, content="appended")

    async def _alive(self) -> None:
        await self._world.passes()
        if self.dead:
            await asyncio.get_running_loop().create_future()

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ToolOutcome:
        return ToolOutcome(outcome=Outcome.cancelled)


class Network:
    """What lies between one activation and the rest. ``trouble``: the share of requests, and replies, that are lost."""

    def __init__(self, world: World, trouble: float) -> None:
        self._world = world
        self._trouble = trouble

    async def over(self, work: Callable[[], Awaitable[T]], lost: GreenroomError) -> T:
        await self._world.passes()
        if self._world.dice.random() < self._trouble:
            raise lost
        done = await work()
        await self._world.passes()
        if self._world.dice.random() < self._trouble:
            raise lost
        return done

    def bring_again(self, work: Callable[[], Awaitable[object]]) -> None:
        """A second copy of a request, some time later."""
        if self._world.dice.random() < self._trouble:
            task = asyncio.ensure_future(self._late(work))
            self._world.duplicates.add(task)

    async def _late(self, work: Callable[[], Awaitable[object]]) -> None:
        for _ in range(self._world.dice.randrange(LATE)):
            await self._world.passes()
        try:
            await work()
        except GreenroomError:
            return


class FarStore:
    """The store, behind a network; reads that change nothing are the store's own."""

    def __init__(self, world: World, network: Network) -> None:
        self._store = world.store
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def acquire(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Acquired:
        return await self._over(lambda: self._store.acquire(tenant, journal_id, term, assignment_no))

    async def append(self, part: AppendPart) -> Appended:
        self._network.bring_again(lambda: self._store.append(part))
        return await self._over(lambda: self._store.append(part))

    async def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        return await self._over(lambda: self._store.first_outcome(tenant, journal_id, command_id))

    async def _over(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._network.over(work, StoreUnavailable("the network"))


class FarHosts:
    """Effect hosts behind a network; one that is dead is known to be."""

    def __init__(self, world: World, network: Network) -> None:
        self._world = world
        self._network = network

    def _host(self, ref: HostRef) -> EffectHost:
        for host in (self._world.models, self._world.tools):
            if host.ref == ref:
                return host
        raise HostGone(ref.host_id, "its process ended")

    async def model_host(self, provider: str) -> HostRef:
        return self._world.models.ref

    async def tools(self) -> dict[str, ToolSpec]:
        return {"line": ToolSpec(definition=LINE, host=self._world.tools.ref)}

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        self._network.bring_again(lambda: self._host(call.host).run(call))
        return await self._over(lambda: self._host(call.host).run(call))

    async def attach(
        self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey], settled: Sequence[CallKey]
    ) -> list[Attached]:
        return await self._over(lambda: self._host(host).attach(journal_id, epoch, host.incarnation, keys, settled))

    async def cancel(self, host: HostRef, journal_id: str, epoch: int, key: CallKey) -> Attached:
        return await self._over(lambda: self._host(host).cancel(key, epoch, journal_id, host.incarnation))

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        await self._over(lambda: self._host(host).ack(journal_id, epoch, host.incarnation, keys))

    def forget(self, journal_id: str) -> None:
        del journal_id

    async def confirmed_dead(self, host: HostRef) -> bool:
        return host not in (self._world.models.ref, self._world.tools.ref)

    async def _over(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._network.over(work, TransportLost("the network"))


@dataclass
class Activation:
    """One assignment of the journal, and the process that has it."""

    host: SessionHost
    number: int

    async def give(self, command: Command) -> None:
        """Give it a command; what it says is of no interest."""
        try:
            await self.host.submit(JOURNAL, self.number, command)
        except GreenroomError:
            return


def activation(world: World, number: int, trouble: float) -> Activation:
    network = Network(world, trouble)
    store: Any = FarStore(world, network)
    host = SessionHost(store, FarHosts(world, network), Surroundings(workspace="/"))
    return Activation(host, number)


def inputs() -> list[Send]:
    return [Send(command_id=f"input-{n}", message=Message.user(f"line {n}")) for n in range(INPUTS)]


async def play(seed: int, make_host: Callable[[str, Any], EffectHost] = EffectHost) -> World:
    """One interleaving, to its end."""
    dice = random.Random(seed)
    config = SessionConfig(model=MODEL, permission_policy=PermissionPolicy.permissive())
    async with asyncio.timeout(LIMIT_S), StoreService(MemoryBackend()) as store:
        world = World(store, dice, make_host=make_host)
        await create(store, JOURNAL, config=config)
        living: list[Activation] = []
        tasks: list[asyncio.Task[None]] = []
        for number in range(1, dice.randrange(3, 6)):
            living.append(activation(world, number, trouble=TROUBLE))
            tasks.append(asyncio.ensure_future(_begin(living[-1], number)))
            for command in dice.sample(inputs(), dice.randrange(1, INPUTS + 1)):
                await world.passes()
                tasks.append(asyncio.ensure_future(dice.choice(living).give(command)))
            for _ in range(dice.randrange(8)):
                await world.passes()
            if dice.random() < 0.3:
                world.kill_tools()
        await _finish(world)
        if world.duplicates:
            await asyncio.wait(world.duplicates, timeout=SETTLE_S)
        await asyncio.gather(*(one.host.close() for one in living))
        for task in (*tasks, *world.duplicates):
            task.cancel()
        await asyncio.gather(*tasks, *world.duplicates, return_exceptions=True)
        return world


async def _begin(one: Activation, number: int) -> None:
    try:
        await one.host.assign(TENANT, JOURNAL, 0, number)
    except GreenroomError:
        return


async def _finish(world: World) -> None:
    """The last activation gets everything again, as often as it takes, and comes to rest."""
    last = activation(world, 100, trouble=TROUBLE)
    await _insist(lambda: last.host.assign(TENANT, JOURNAL, 0, 100))
    for command in inputs():
        await _insist(lambda command=command: last.host.submit(JOURNAL, 100, command))
    while (row := await world.store.row(TENANT, JOURNAL)) and row.activity is not Activity.idle:
        if row.activity is Activity.requires_action:
            actions, _ = await world.store.actions(TENANT, journal_id=JOURNAL)
            for action in actions:
                skip = ResolveAction(
                    command_id=f"skip-{action.action_id}", action_id=action.action_id, resolution=Resolution.skip
                )
                await last.give(skip)
        await world.store.wait(TENANT, JOURNAL, after=row.head_seq, wait_s=0.01)
    await _assert_one_history(world)
    await last.host.close()


async def _insist(ask: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await ask()
        except (StoreUnavailable, TransportLost):
            continue
        return


async def _assert_one_history(world: World) -> None:
    records = await world.store.records(TENANT, JOURNAL)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    state = fold(initial(), (decode_record(record.body) for record in records))
    assert state.turn is None and not state.queue
    types = Counter((record.type, record.cause) for record in records)
    for command in inputs():
        assert types["user.message", command.command_id] == 1
    assert sum(count for (kind, _), count in types.items() if kind == "turn.completed") == INPUTS


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - a fixture
    for module in ("actors.session.calls", "actors.session.committer"):
        monkeypatch.setattr(f"{module}.RETRY_FIRST_S", 0.0)
        monkeypatch.setattr(f"{module}.RETRY_MAX_S", 0.001)
    monkeypatch.setattr("actors.session.calls.ACK_DELAY_S", 0.0)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_of_activations_that_do_not_know_of_each_other_comes_one_history(seed: int) -> None:
    world = await play(seed)

    assert all(count == 1 for count in world.runs.values()), f"a tool that must not run twice did: {world.runs}"


class Forgetful(EffectHost):
    """A host that forgets a call as soon as it is acknowledged."""

    async def ack(self, journal_id: str, epoch: int, incarnation: str, keys: Sequence[CallKey]) -> None:
        for key in keys:
            entry = self._register.find(key, journal_id)
            if entry is not None and entry.done.done():
                self._retention.discard(entry)
                self._register.forget(entry)


async def test_a_host_that_forgets_is_found_out() -> None:
    for seed in range(5 * SEEDS):
        if any(count > 1 for count in (await play(seed, Forgetful)).runs.values()):
            return
    pytest.fail("no interleaving ran a tool twice, so the test above proves nothing")
