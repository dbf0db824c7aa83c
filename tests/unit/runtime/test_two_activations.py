"""Several activations of one journal at a time, each of which takes itself for the only one.

Whatever the order of their appends, retries and effect calls, one linear history comes of it, nothing begins that a
newer activation has not asked for, and a tool that must not run twice does not. A seed is one interleaving, but for
what a busy machine makes of it. The world they live in, and what it watches, is ``zombies``.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.actions import Resolution
from actors.domain.calls import CallKey
from actors.domain.commands import ResolveAction, Send
from actors.domain.journal import Acquired, Appended, AppendPart, Refused
from actors.domain.messages import Message
from actors.domain.permissions import PermissionPolicy
from actors.domain.records import decode_record
from actors.domain.session import Activity, SessionConfig
from actors.effect_host import EffectHost
from actors.effect_host.fences import Fences
from actors.session.fold import fold
from actors.session.state import initial
from actors.storage.memory import MemoryBackend
from actors.storage.service import StoreService
from tests.unit.runtime.parts import LIMIT_S, MODEL, TENANT, create
from tests.unit.runtime.zombies import JOURNAL, LASTING, LINE, Activation, Parts, World

SEEDS = 40

INPUTS = ("line 0", "look 1", "line 2", "look 3")

SOUND = Parts()

DEATHS, MOVES = 3, 4
"""How many hosts may die, and how often the session may move, after the interleaving proper, until it is at rest."""

PAUSE = 20
"""Moments before another activation comes, at most."""

SETTLE_S = 0.05
"""For copies that are still on their way at the end."""


async def play(seed: int, parts: Parts = SOUND) -> World:
    """One interleaving, to its end, or until something is broken."""
    dice = random.Random(seed)
    config = SessionConfig(model=MODEL, permission_policy=PermissionPolicy.permissive())
    async with asyncio.timeout(LIMIT_S), StoreService(parts.backend()) as store:
        world = World(store, dice, parts)
        await create(store, JOURNAL, config=config)
        living: list[Activation] = []
        tasks: list[asyncio.Task[None]] = []
        for number in range(1, dice.randrange(3, 6)):
            living.append(Activation(world, number))
            tasks.append(asyncio.ensure_future(living[-1].begin()))
            for command in dice.sample(_inputs(), dice.randrange(1, len(INPUTS) + 1)):
                await world.passes()
                tasks.append(asyncio.ensure_future(dice.choice(living).give(command)))
            for _ in range(dice.choice([8, PAUSE])):
                await world.passes()
            if dice.random() < 0.3:
                world.kill(dice.choice(["models", "tools"]))
        await _rest(world, living, tasks)
        if world.duplicates:
            await asyncio.wait(world.duplicates, timeout=SETTLE_S)
        for task in (*tasks, *world.duplicates):
            task.cancel()
        await asyncio.gather(*tasks, *world.duplicates, return_exceptions=True)
        await asyncio.gather(*(one.close() for one in living))
        if not world.broken:
            world.broken += await _contradictions(world)
        return world


def _inputs() -> list[Send]:
    return [Send(command_id=f"input-{n}", message=Message.user(text)) for n, text in enumerate(INPUTS)]


async def _rest(world: World, living: list[Activation], tasks: list[asyncio.Task[None]]) -> None:
    """Until every input is answered: the session moves on, hosts die, and somebody decides about calls in doubt."""
    deaths, moves = world.dice.randrange(DEATHS + 1), world.dice.randrange(MOVES + 1)
    decided: dict[str, Resolution] = {}
    _move(world, LASTING, living, tasks)
    while not world.broken:
        row = await world.store.row(TENANT, JOURNAL)
        assert row is not None
        if row.activity is Activity.idle and await _answered(world) == len(INPUTS):
            return
        for action in (await world.store.actions(TENANT, journal_id=JOURNAL))[0]:
            way = decided.setdefault(action.action_id, world.dice.choice([Resolution.retry, Resolution.skip]))
            await living[-1].give(
                ResolveAction(command_id=action.action_id, action_id=action.action_id, resolution=way)
            )
        if deaths and world.dice.random() < 0.2:
            deaths -= 1
            world.kill(world.dice.choice(["models", "tools"]))
        if moves and world.dice.random() < 0.4:
            moves -= 1
            _move(world, LASTING + MOVES - moves, living, tasks)
        if tasks[-1].done() and tasks[-1].exception() is not None:
            world.broken.append(f"the newest activation came to an end: {tasks[-1].exception()}")
        await world.store.wait(TENANT, JOURNAL, after=row.head_seq, wait_s=0.01)


def _move(world: World, number: int, living: list[Activation], tasks: list[asyncio.Task[None]]) -> None:
    """One more activation, which gets everything again."""
    living.append(Activation(world, number))
    tasks.append(asyncio.ensure_future(living[-1].insist(_inputs())))


async def _answered(world: World) -> int:
    records = await world.store.records(TENANT, JOURNAL)
    return sum(record.type == "turn.completed" for record in records)


async def _contradictions(world: World) -> list[str]:
    """What is wrong with the history that came of it."""
    stored = await world.store.records(TENANT, JOURNAL)
    records = [decode_record(record.body) for record in stored]
    state = fold(initial(), records)
    said = Counter(record.cause for record in records if isinstance(record, r.UserMessage))
    starts = [record.data for record in records if isinstance(record, r.ToolCallStarted)]
    hosts = {CallKey(call_id=one.call_id, attempt=one.attempt): one.host for one in starts}
    doubts = [record.data for record in records if isinstance(record, r.ToolCallInDoubt)]
    asked = [record.data for record in records if isinstance(record, r.ActionRequested)]
    decided = [record.data for record in records if isinstance(record, r.ActionResolved)]
    retried = {one.action_id for one in decided if one.resolution is Resolution.retry}
    found = {
        "a gap": [record.seq for record in records] != list(range(1, len(records) + 1)),
        "an open turn, or an input without one": state.turn is not None or bool(state.queue),
        "an input that is not there once": any(said[one.command_id] != 1 for one in _inputs()),
        "a writer after a newer one": [one.epoch for one in records] != sorted(one.epoch for one in records),
        "an attempt that ran twice": any(count > 1 for count in world.ran.values()),
        "a call that ran and was not written down": not world.ran.keys() <= hosts.keys(),
        "an unsafe call that was made again, and nobody said so": sum(
            one.name == LINE.name and one.attempt > 1 for one in starts
        ) > sum(one.tool == LINE.name and one.action_id in retried for one in asked),
        "a doubt about a host that lives": any(
            hosts[CallKey(call_id=one.call_id, attempt=one.attempt)] not in world.dead for one in doubts
        ),
    }  # fmt: skip
    return [what for what, so in found.items() if so]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - a fixture
    for module in ("actors.session.calls", "actors.session.committer"):
        monkeypatch.setattr(f"{module}.RETRY_FIRST_S", 0.0)
        monkeypatch.setattr(f"{module}.RETRY_MAX_S", 0.001)
    monkeypatch.setattr("actors.session.acks.ACK_DELAY_S", 0.0)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_of_activations_that_do_not_know_of_each_other_comes_one_history(seed: int) -> None:
    assert not (await play(seed)).broken


# --- the test above finds what it is there for ----------------------------------------------------------------------


class Forgetful(EffectHost):
    """A host that forgets a call as soon as it is acknowledged."""

    async def ack(self, journal_id: str, epoch: int, incarnation: str, keys: Sequence[CallKey]) -> None:
        for key in keys:
            entry = self._register.find(key, journal_id)
            if entry is not None and entry.done.done():
                self._retention.discard(entry)
                self._register.forget(entry)


class Open(Fences):
    """Fences that stop nobody."""

    def admit(self, journal_id: str, epoch: int) -> None:
        return

    def check(self, journal_id: str, epoch: int) -> None:
        return


class Unfenced(EffectHost):
    """A host that serves every epoch."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._fences = self._work._fences = Open(1, lambda: 0.0, lambda _: False)  # pyright: ignore[reportPrivateUsage]


class AtTheDoor(Fences):
    """Fences that ask nobody who has come in."""

    def __init__(self) -> None:
        super().__init__(10, lambda: 0.0, lambda _: False)
        self._at_door = False

    def admit(self, journal_id: str, epoch: int) -> None:
        self._at_door = True
        try:
            super().admit(journal_id, epoch)
        finally:
            self._at_door = False

    def check(self, journal_id: str, epoch: int) -> None:
        if self._at_door:
            super().check(journal_id, epoch)


class FencedAtTheDoor(EffectHost):
    """A host that lets a call begin which has waited for its place while a newer epoch came."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._fences = self._work._fences = AtTheDoor()  # pyright: ignore[reportPrivateUsage]


class AnyIncarnation(EffectHost):
    """A host that answers for whatever had its name before."""

    def _admit(self, journal_id: str, epoch: int, incarnation: str) -> None:
        super()._admit(journal_id, epoch, self.ref.incarnation)


class Unguarded(MemoryBackend):
    """A store that lets every epoch write."""

    def append(self, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        heads = [self._existing(part.tenant, part.journal_id).head for part in parts]
        return super().append([replace(part, epoch=head.epoch) for part, head in zip(parts, heads, strict=True)])


class Unordered(MemoryBackend):
    """A store that gives an epoch to whoever asks, whatever was assigned later."""

    def acquire(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Acquired:
        self._existing(tenant, journal_id).assignment = (0, 0)
        return super().acquire(tenant, journal_id, term, assignment_no)


MUTANTS = {
    "a host that forgets": (Parts(host=Forgetful), "ran twice"),
    "a host without a fence": (Parts(host=Unfenced), "was answered"),
    "a host with a fence at its door only": (Parts(host=FencedAtTheDoor), "a call began"),
    "a host that answers for the one before it": (Parts(host=AnyIncarnation), "for the one before it"),
    "a store that does not look at epochs": (Parts(backend=Unguarded), "wrote"),
    "a store that does not look at assignments": (Parts(backend=Unordered), "acquired after"),
    "a session that takes a living host for dead": (Parts(credulous=True), "a doubt about a host that lives"),
}


@pytest.mark.parametrize("name", MUTANTS)
async def test_what_is_broken_is_found_out(name: str) -> None:
    parts, trace = MUTANTS[name]
    for seed in range(5 * SEEDS):
        if any(trace in one for one in (await play(seed, parts)).broken):
            return
    pytest.fail(f"no interleaving shows {name}, so the test above proves nothing about it")
