"""Seats, stores and hosts that do what a test says, around the real residency, session hosts and stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from actors.domain.calls import Attached, CallKey, CallStatus, HostRef, ModelCall, ModelOutcome, Outcome, ToolCall
from actors.domain.ids import new_ulid, utc_now
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, StopReason, TokenUsage
from actors.domain.session import SessionConfig
from actors.domain.workspaces import Site, Whereabouts
from actors.errors import GreenroomError
from actors.residency.placement import Seat
from actors.session.ports import Activation, ToolSpec
from actors.session.projection import new_session
from actors.storage.memory import MemoryBackend
from actors.storage.service import StoreService
from tests.unit.unclear import UnclearHosts

TENANT = "default"
LIMIT_S = 10.0
"""Longest wait for anything that has to happen."""

MODEL = LlmConfig.of("scripted/echo")


class GatedStore(StoreService):
    """A memory store whose activations wait at gates, one for each, when there are any."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())
        self.gates: list[Gate] = []

    async def activate(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Activation:
        begun = await super().activate(tenant, journal_id, term, assignment_no)
        if self.gates:
            await self.gates.pop(0).passed()
        return begun


@dataclass
class Gate:
    """Somewhere to stop: ``reached`` when somebody waits, ``opened`` to let them on."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def passed(self) -> None:
        self.reached.set()
        await self.opened.wait()


@asynccontextmanager
async def gated_store() -> AsyncGenerator[GatedStore]:
    async with asyncio.timeout(LIMIT_S), GatedStore() as store:
        yield store


async def create(store: StoreService, *ids: str, config: SessionConfig | None = None) -> None:
    """Sessions whose journals are named as they are."""
    given = config or SessionConfig(model=MODEL)
    new = [new_session(TENANT, one, one, given, now=utc_now(), cause=new_ulid()) for one in ids]
    await store.create(TENANT, new_ulid(), "digest", new)


def answer(call: ModelCall | ToolCall, text: str = "done") -> Attached:
    """A model's answer."""
    outcome = ModelOutcome(
        outcome=Outcome.ok,
        provider="scripted",
        model="echo",
        message=Message.assistant(text),
        stop_reason=StopReason.end_turn,
        usage=TokenUsage(),
    )
    return Attached(key=call.key, status=CallStatus.settled, outcome=outcome)


class FakeHosts(UnclearHosts):
    """Hosts whose calls end when the test says so."""

    def __init__(self) -> None:
        self.finding: dict[str, Gate] = {}
        self.asked: asyncio.Queue[ModelCall | ToolCall] = asyncio.Queue()
        self.acked: list[CallKey] = []
        self.cancelled: Callable[[CallKey], Attached] = lambda key: Attached(key=key, status=CallStatus.cancelled)

    async def model_host(self, provider: str) -> HostRef:
        if provider in self.finding:
            await self.finding[provider].passed()
        return HostRef(host_id=f"host-of-{provider}", incarnation="1")

    async def tools(self) -> tuple[ToolSpec, ...]:
        return ()

    async def site(self, asked: Whereabouts) -> Site:
        return Site(asked, "here", HostRef(host_id="tools", incarnation="1"))

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        self.asked.put_nowait(call)
        return await asyncio.get_running_loop().create_future()

    async def attach(
        self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey], settled: Sequence[CallKey]
    ) -> list[Attached]:
        return [Attached(key=key, status=CallStatus.running) for key in keys]

    async def cancel(self, host: HostRef, journal_id: str, epoch: int, key: CallKey) -> Attached:
        return self.cancelled(key)

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        self.acked += keys

    def forget(self, journal_id: str) -> None:
        del journal_id

    async def confirmed_dead(self, host: HostRef) -> bool:
        return True


@dataclass
class FakeSeat:
    """A seat that remembers what it was told. ``assigning`` and ``releasing`` run in the middle of each."""

    seat_id: str
    assigning: Callable[[str, int], Any] | None = None
    releasing: Callable[[str, int], Any] | None = None
    delivering: Callable[[str, Sequence[bytes]], Any] | None = None
    delivered: list[tuple[str, tuple[bytes, ...]]] = field(default_factory=list[tuple[str, tuple[bytes, ...]]])
    assigned: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    released: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    node_id: str = "node"
    node: str = "node"
    private: int = 0

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> int:
        self.assigned.append((journal_id, assignment_no))
        private = self.private
        if self.assigning is not None:
            await self.assigning(journal_id, assignment_no)
        return private

    async def release(self, journal_id: str, assignment_no: int, *, idle_s: float = 0.0) -> bool:
        self.released.append((journal_id, assignment_no))
        if self.releasing is not None:
            return await self.releasing(journal_id, assignment_no)
        return True

    async def deliver(
        self, journal_id: str, assignment_no: int, letters: Sequence[bytes]
    ) -> Sequence[GreenroomError | None]:
        self.delivered.append((journal_id, tuple(letters)))
        if self.delivering is not None:
            return await self.delivering(journal_id, letters)
        return [None] * len(letters)


class NoSeats:
    """As many seats as there may be."""

    async def grow(self) -> FakeSeat | None:
        return None

    async def end(self, seat: Seat) -> None:
        raise AssertionError(f"{seat.seat_id} was not started here")

    async def kill(self, seat: Seat) -> None:
        raise AssertionError(f"{seat.seat_id} is light")


async def until(true: Callable[[], bool]) -> None:
    """Let the loop run until it is so."""
    for _ in range(int(LIMIT_S * 1000)):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")


def failing(error: GreenroomError) -> Callable[[str, int], Any]:
    async def fail(journal_id: str, assignment_no: int) -> None:
        raise error

    return fail
