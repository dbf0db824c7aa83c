"""Hosts that an activation tells which outcomes are durable: all those concerned, each of its own calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from actors.domain.calls import Attached, CallKey, CallStatus, HostRef, Outcome, ToolCall, ToolOutcome
from actors.domain.messages import Message, ToolUseBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import OnInDoubt
from actors.domain.session import SessionConfig
from actors.errors import GreenroomError, HostGone, TransportLost
from actors.session.acks import Acks
from actors.session.calls import CallKeeper
from actors.session.effects import Effects
from actors.session.state import State
from tests.unit.session.world import World
from tests.unit.unclear import UnclearHosts

Told = tuple[str, str, tuple[str, ...]]
"""How, whom, and the ids of the calls."""

FAR = HostRef(host_id="far", incarnation="1")


class Hosts(UnclearHosts):
    """Hosts that write down what they are told; those in ``failing`` do not understand it at first."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Told] = asyncio.Queue()
        self.failing: list[GreenroomError] = []

    async def attach(
        self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey], settled: Sequence[CallKey]
    ) -> list[Attached]:
        self._hear("attach", host, settled)
        return [Attached(key=key, status=CallStatus.settled, outcome=ToolOutcome(outcome=Outcome.ok)) for key in keys]

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        self._hear("ack", host, keys)

    def _hear(self, how: str, host: HostRef, keys: Sequence[CallKey]) -> None:
        if self.failing:
            raise self.failing.pop(0)
        self.told.put_nowait((how, host.host_id, tuple(key.call_id for key in keys)))


class Store:
    async def results(self, tenant: str, journal_id: str, call_id: str | None = None) -> tuple[()]:
        return ()


class Activation:
    """An activation of a session in the middle of a round; ``settled`` of its calls, the first ones, have a result."""

    def __init__(self, settled: int, *, tool: str = "look", **config: Any) -> None:
        world = World(SessionConfig(permission_policy=PermissionPolicy.permissive(), **config))
        world.send()
        uses = [ToolUseBlock(id=str(n), name=tool, input={"n": n}) for n in range(3)]
        world.answer(world.running[0], Message.assistant("", *uses))
        for call in world.running[:settled]:
            assert isinstance(call, ToolCall)
            world.result(call)
        self.world = world
        self.hosts = Hosts()
        hosts: Any = self.hosts
        store: Any = Store()
        acks = Acks(hosts, world.state.journal_id, 2, asyncio.ensure_future)
        self.keeper = CallKeeper(
            store, hosts, acks, post=lambda _: None, stop=_stop, spawn=asyncio.ensure_future, renew=_nothing
        )

    def state(self, *far: int) -> State:
        """As it is, with the calls of these places on another host."""
        turn = self.world.state.turn
        assert turn is not None
        calls = tuple(call.model_copy(update={"host": FAR}) if call.index in far else call for call in turn.calls)
        return self.world.state.model_copy(update={"turn": turn.model_copy(update={"calls": calls})})

    async def told(self) -> Told:
        return await asyncio.wait_for(self.hosts.told.get(), 5.0)


def _stop(reason: GreenroomError) -> None:
    pytest.fail(f"the session was ended: {reason}")


async def _nothing(_: object) -> None:
    return None


async def _rest() -> None:
    """Wait for all that was begun."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))


def _ids(made: Activation, *places: int) -> tuple[str, ...]:
    turn = made.world.state.turn
    assert turn is not None
    return tuple(turn.calls[place].call_id or "" for place in places)


async def test_every_host_learns_which_of_its_outcomes_are_durable() -> None:
    made = Activation(2)
    near = made.world.running

    made.keeper.recover(made.state(0), ())
    assert await made.told() == ("ack", "far", _ids(made, 0))

    made.keeper.keep(Effects(running=near))
    assert await made.told() == ("attach", near[0].host.host_id, _ids(made, 1))
    made.keeper.stop()


async def test_a_host_that_was_not_reached_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.session.acks.ACK_RETRIES_S", (0.0, 0.0))
    made = Activation(1)
    made.hosts.failing = [TransportLost("it"), TransportLost("it")]

    made.keeper.recover(made.state(0), ())

    assert await made.told() == ("ack", "far", _ids(made, 0))


async def test_a_host_that_is_gone_is_told_nothing() -> None:
    made = Activation(1)
    made.hosts.failing = [HostGone("far", "it is")]

    made.keeper.recover(made.state(0), ())
    await _rest()

    assert made.hosts.failing == []
    assert made.hosts.told.empty()


async def test_nothing_is_acknowledged_of_which_nobody_knows_what_became() -> None:
    made = Activation(0, tool="act", on_in_doubt=OnInDoubt.report)
    lost, *_ = made.world.running
    made.world.lose(lost)
    assert [one.key for one in made.world.state.unanswered] == [lost.key]

    made.keeper.recover(made.state(0), ())
    await _rest()

    assert made.hosts.told.empty()
