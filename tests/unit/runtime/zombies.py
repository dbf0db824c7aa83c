"""A world in which nobody can be sure: activations that do not know of each other, hosts that die, a network that lies.

Real stores, session hosts and effect hosts; between them a network that delays, loses requests and replies, brings some
requests twice, and takes living hosts for dead. All chance comes from one seeded generator. The world watches what
happens in it, and writes down in ``broken`` what must not.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from actors.domain.calls import (
    Attached,
    CallKey,
    CallStatus,
    Delta,
    Emit,
    HostRef,
    ModelCall,
    ModelOutcome,
    Outcome,
    Reconciled,
    ToolCall,
    ToolOutcome,
)
from actors.domain.commands import Command
from actors.domain.journal import Appended, AppendPart, FirstOutcome
from actors.domain.messages import Message, Role, StopReason, TextBlock, ToolUseBlock, decode_messages
from actors.domain.tools import EffectClass, ToolDefinition
from actors.domain.workspaces import Site, Whereabouts
from actors.effect_host import EffectHost, HostLimits
from actors.errors import GreenroomError, HostGone, StoreUnavailable, TransportLost
from actors.session.ports import Activation as Begun
from actors.session.ports import ToolSpec
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from actors.storage.memory import MemoryBackend
from actors.storage.service import StoreService
from tests.unit.runtime.parts import TENANT
from tests.unit.unclear import Unclear

T = TypeVar("T")
Call = ModelCall | ToolCall

JOURNAL = "journal"

LASTING = 100
"""Assignments from here on are not asked for twice."""

TROUBLE = 0.15
"""Share of requests, and of replies, that are lost; and of requests that come twice."""

SLANDER = 0.3
"""Share of the lost requests after which the host is held for gone, though it may live."""

LATE = 60
"""Moments within which a second copy of a request may come: longer than a call takes to be acknowledged."""

MOMENTS = 3
"""A tool takes at most so long: enough for another activation to begin meanwhile."""

LOOKS = 6
"""Calls side by side: some wait for a place."""

LINE = ToolDefinition(name="line", description="Append a line.", parameters={}, effect=EffectClass.unsafe)
LOOK = ToolDefinition(name="look", description="Change nothing.", parameters={}, effect=EffectClass.pure)


class HostProcess:
    """An effect host in a process of its own, which may end in the middle of whatever it does."""

    def __init__(self, world: World, host_id: str) -> None:
        self._world = world
        self.dead = False
        self.died: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # With one place at a time calls wait, and what they were allowed when they came may not be so any more.
        limits = HostLimits(running=world.dice.choice([1, 1, 64]))
        self.host = world.parts.host(host_id, Work(world, self), None, limits)
        self._newest = 0
        self._owners: dict[CallKey, int] = {}

    def kill(self) -> None:
        """It does nothing any more, in the middle of a call too, and whoever waits for it learns of it."""
        self.dead = True
        self.died.set_result(None)

    async def ask(self, ref: HostRef, epoch: int, runs: Sequence[CallKey], work: Callable[[EffectHost], Any]) -> Any:
        """One request. ``runs``: attempts that are to be under way for this epoch from now on."""
        asking = asyncio.ensure_future(self._ask(ref, epoch, runs, work))
        try:
            await asyncio.wait({asking, self.died}, return_when=asyncio.FIRST_COMPLETED)
            if self.dead:
                raise TransportLost("a process that ended")
            return asking.result()
        finally:
            asking.cancel()
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _ask(self, ref: HostRef, epoch: int, runs: Sequence[CallKey], work: Callable[[EffectHost], Any]) -> Any:
        if ref == self.host.ref:
            older = epoch < self._newest
            self._newest = max(self._newest, epoch)
            for key in runs:
                self.own(key, epoch)
            answer = await work(self.host)
            if older:
                self._world.broken.append(f"epoch {epoch} was answered, and {self._newest} had been admitted")
            return answer
        answer = await work(self.host)
        self._world.broken.append("a host answered for the one before it")
        return answer

    def own(self, key: CallKey, epoch: int) -> None:
        """An attempt is wanted by an epoch."""
        self._owners[key] = max(self._owners.get(key, 0), epoch)

    def begins(self, call: Call) -> None:
        """The host has let an attempt begin."""
        owner = self._owners.get(call.key, call.epoch)
        if owner < self._newest:
            self._world.broken.append(f"a call began for epoch {owner}, and {self._newest} had been admitted")


class Work(Unclear):
    """What models and tools do. When their process is dead they do nothing any more, in the middle of a call too."""

    def __init__(self, world: World, process: HostProcess) -> None:
        self._world = world
        self._process = process

    async def execute(self, call: Call, emit: Emit) -> ModelOutcome | ToolOutcome:
        self._process.begins(call)
        await self._alive()
        if isinstance(call, ModelCall):
            return _answer(call)
        self._world.ran[call.key] += 1
        for _ in range(self._world.dice.randrange(MOMENTS)):
            await self._alive()
        return ToolOutcome(outcome=Outcome.ok, content="done")

    async def _alive(self) -> None:
        await self._world.passes()
        if self._process.dead:
            await asyncio.get_running_loop().create_future()

    def cancelled(self, call: Call, deltas: Sequence[Delta]) -> ModelOutcome | ToolOutcome:
        of = ModelOutcome if isinstance(call, ModelCall) else ToolOutcome
        return of(outcome=Outcome.cancelled)


def _answer(call: ModelCall) -> ModelOutcome:
    """``line 1`` is one call of the tool that must not run twice, ``look 1`` some of the other, side by side."""
    last = decode_messages(call.messages)[-1]
    asked = last.role is Role.user and any(isinstance(block, TextBlock) for block in last.content)
    name = last.text.partition(" ")[0]
    count = LOOKS if name == LOOK.name else 1
    uses = [ToolUseBlock(id=f"call-{n}", name=name, input={"text": last.text, "n": n}) for n in range(count)]
    return ModelOutcome(
        outcome=Outcome.ok,
        message=Message.assistant("", *uses) if asked else Message.assistant("done"),
        stop_reason=StopReason.tool_use if asked else StopReason.end_turn,
    )


class Network:
    """What lies between one activation and the rest. ``trouble``: the share of requests, and replies, that are lost."""

    def __init__(self, world: World, trouble: float = TROUBLE) -> None:
        self._world = world
        self._trouble = trouble

    async def over(self, work: Callable[[], Awaitable[T]], lost: Callable[[], GreenroomError]) -> T:
        await self._world.passes()
        if self._world.dice.random() < self._trouble:
            raise lost()
        done = await work()
        await self._world.passes()
        if self._world.dice.random() < self._trouble:
            raise lost()
        return done

    def bring_again(self, work: Callable[[], Awaitable[object]]) -> None:
        """A second copy of a request, some time later."""
        if self._world.dice.random() < self._trouble:
            self._world.duplicates.add(asyncio.ensure_future(self._late(work)))

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
        self._world = world
        self._store = world.store
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def activate(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Begun:
        if assignment_no < LASTING:
            # A second acquisition of one assignment fences the first, and nobody here would activate it again.
            self._network.bring_again(lambda: self._activate(tenant, journal_id, term, assignment_no))
        return await self._over(lambda: self._activate(tenant, journal_id, term, assignment_no))

    async def _activate(self, tenant: str, journal_id: str, term: int, number: int) -> Begun:
        begun = await self._store.activate(tenant, journal_id, term, number)
        self._world.epochs[number] = begun.epoch
        newer = [one for one, epoch in self._world.epochs.items() if one > number and epoch < begun.epoch]
        if newer:
            self._world.broken.append(f"assignment {number} acquired after {max(newer)}")
        return begun

    async def append(self, part: AppendPart) -> Appended:
        self._network.bring_again(lambda: self._append(part))
        return await self._over(lambda: self._append(part))

    async def _append(self, part: AppendPart) -> Appended:
        newest = max(self._world.epochs.values())
        first = self._world.batches.setdefault(part.batch_id, newest)
        appended = await self._store.append(part)
        if part.epoch < first:
            self._world.broken.append(f"epoch {part.epoch} wrote, and {first} had begun")
        return appended

    async def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        return await self._over(lambda: self._store.first_outcome(tenant, journal_id, command_id))

    async def _over(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._network.over(work, lambda: StoreUnavailable("the network"))


class FarHosts:
    """Effect hosts behind a network; one that is dead is known to be, and of one that lives it is said at times."""

    def __init__(self, world: World, network: Network) -> None:
        self._world = world
        self._network = network

    async def model_host(self, provider: str) -> HostRef:
        return self._world.hosts["models"].host.ref

    async def tools(self) -> tuple[ToolSpec, ...]:
        return (ToolSpec(LINE), ToolSpec(LOOK))

    async def site(self, asked: Whereabouts) -> Site:
        return Site(asked, "here", self._world.hosts["tools"].host.ref)

    async def run(self, call: Call) -> Attached:
        async def work() -> Attached:
            process = self._world.hosts[call.host.host_id]
            return await process.ask(call.host, call.epoch, [call.key], lambda host: host.run(call))

        self._network.bring_again(work)
        return await self._over(call.host, work)

    async def attach(
        self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey], settled: Sequence[CallKey]
    ) -> list[Attached]:
        process = self._world.hosts[host.host_id]

        async def attached(asked: EffectHost) -> list[Attached]:
            answers = await asked.attach(journal_id, epoch, host.incarnation, keys, settled)
            for answer in answers:
                if answer.status is CallStatus.running:
                    process.own(answer.key, epoch)
            return answers

        return await self._over(host, lambda: process.ask(host, epoch, [], attached))

    async def cancel(self, host: HostRef, journal_id: str, epoch: int, key: CallKey) -> Attached:
        async def cancelled(asked: EffectHost) -> Attached:
            return await asked.cancel(key, epoch, journal_id, host.incarnation)

        return await self._over(host, lambda: self._world.hosts[host.host_id].ask(host, epoch, [key], cancelled))

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        async def acked(asked: EffectHost) -> None:
            await asked.ack(journal_id, epoch, host.incarnation, keys)

        await self._over(host, lambda: self._world.hosts[host.host_id].ask(host, epoch, [], acked))

    async def reconcile(self, host: HostRef, call: ToolCall, recorded: bytes | None) -> Reconciled:
        async def told(asked: EffectHost) -> Reconciled:
            return await asked.reconcile(call.journal_id, call.epoch, host.incarnation, call, recorded)

        return await self._over(host, lambda: self._world.hosts[host.host_id].ask(host, call.epoch, [], told))

    def forget(self, journal_id: str) -> None:
        del journal_id

    async def confirmed_dead(self, host: HostRef) -> bool:
        return self._world.parts.credulous or host in self._world.dead

    async def _over(self, host: HostRef, work: Callable[[], Awaitable[T]]) -> T:
        def lost() -> GreenroomError:
            if self._world.dice.random() < SLANDER:
                return HostGone(host.host_id, "so it is said")
            return TransportLost("the network")

        return await self._network.over(work, lost)


@dataclass(frozen=True)
class Parts:
    """What a world is made of. A test of the tests takes parts that are broken.

    Attributes:
        credulous: A host is taken for dead as soon as somebody says so.
    """

    host: type[EffectHost] = EffectHost
    backend: type[MemoryBackend] = MemoryBackend
    credulous: bool = False


@dataclass
class World:
    """What all activations share.

    Attributes:
        dead: Incarnations of hosts that have ended.
        ran: How often each attempt of a tool call was carried out.
        epochs: The newest epoch of each assignment.
        batches: By batch the newest epoch when its first copy came.
        broken: What has happened that must not.
    """

    store: StoreService
    dice: random.Random
    parts: Parts = Parts()
    hosts: dict[str, HostProcess] = field(default_factory=dict[str, HostProcess])
    dead: set[HostRef] = field(default_factory=set[HostRef])
    ran: Counter[CallKey] = field(default_factory=Counter[CallKey])
    epochs: dict[int, int] = field(default_factory=dict[int, int])
    batches: dict[str, int] = field(default_factory=dict[str, int])
    broken: list[str] = field(default_factory=list[str])
    duplicates: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])

    def __post_init__(self) -> None:
        for host_id in ("models", "tools"):
            self.hosts[host_id] = HostProcess(self, host_id)

    def kill(self, host_id: str) -> None:
        """A host's process ends, and another takes its place."""
        process = self.hosts[host_id]
        process.kill()
        self.dead.add(process.host.ref)
        self.hosts[host_id] = HostProcess(self, host_id)

    async def passes(self) -> None:
        """A moment in which others go on."""
        for _ in range(self.dice.randrange(6)):
            await asyncio.sleep(0)


class Activation:
    """One assignment of the journal, and the process that has it."""

    def __init__(self, world: World, number: int) -> None:
        network = Network(world)
        store: Any = FarStore(world, network)
        self._host = SessionHost(store, FarHosts(world, network), Surroundings(workspace="/"))
        self._number = number

    async def begin(self) -> None:
        """Take the assignment; what comes of it is of no interest."""
        await self._quietly(self._host.assign(TENANT, JOURNAL, 0, self._number))

    async def give(self, command: Command) -> None:
        """Give it a command; what it says is of no interest."""
        await self._quietly(self._host.submit(JOURNAL, self._number, command))

    async def insist(self, commands: Sequence[Command]) -> None:
        """Take the assignment and give it these commands, for however often that has to be asked."""
        await _insist(lambda: self._host.assign(TENANT, JOURNAL, 0, self._number))
        for command in commands:
            await _insist(lambda command=command: self._host.submit(JOURNAL, self._number, command))

    async def close(self) -> None:
        """Its process ends."""
        await self._host.close()

    async def _quietly(self, work: Awaitable[object]) -> None:
        try:
            await work
        except GreenroomError:
            return


async def _insist(ask: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await ask()
        except (StoreUnavailable, TransportLost):
            continue
        return
