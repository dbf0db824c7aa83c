"""Outcomes that nobody fetched, when the store takes some and not others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from actors.domain.calls import CallKey, CallStatus, Outcome, ToolOutcome
from actors.effect_host.entry import Entry
from actors.effect_host.ports import HostLimits
from actors.effect_host.register import Register
from actors.effect_host.retention import Retention
from actors.errors import InternalError


class Sink:
    """Takes everything but the outcomes of one call."""

    def __init__(self, refused: str) -> None:
        self.refused = refused
        self.saved: list[str] = []

    async def save(self, tenant: str, journal_id: str, call_id: str, attempt: int, outcome: bytes) -> None:
        if call_id == self.refused:
            raise InternalError("Refused")
        self.saved.append(call_id)

    async def save_facts(self, tenant: str, journal_id: str, call_id: str, attempt: int, facts: bytes) -> None:
        raise AssertionError("no tool records anything here")


def kept(*ids: str, sink: Sink, clock: Callable[[], float]) -> Retention:
    limits = HostLimits()
    register = Register(limits, clock)
    made = Retention(limits, clock, sink, register.forget)
    for one in ids:
        done = asyncio.get_running_loop().create_future()
        entry = Entry(CallKey(call_id=one, attempt=1), "a", "default", 1, done, status=CallStatus.settled)
        entry.outcome = ToolOutcome(outcome=Outcome.ok, content="done")
        entry.size = len(entry.outcome.model_dump_json())
        made.add(entry)
    return made


async def test_an_outcome_that_the_store_never_takes_does_not_keep_the_others_in_memory() -> None:
    now = [0.0]
    sink = Sink("poison")
    made = kept("poison", "b", "c", sink=sink, clock=lambda: now[0])
    now[0] = 60.0
    await made.sweep()
    await made.sweep()
    assert sink.saved == ["b", "c"]
    assert made.bytes > 0


async def test_a_host_that_ends_writes_every_outcome_that_the_store_takes() -> None:
    sink = Sink("poison")
    made = kept("a", "poison", "b", sink=sink, clock=lambda: 0.0)
    await made.close()
    assert sink.saved == ["a", "b"]
