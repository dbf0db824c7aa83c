"""Named places at which a test can make a process die, an operation fail, or a reply get lost.

Each place is a boundary where something has just become durable, or is about to. Production arms none: a place then
costs one look at a module's variable. Tests arm them with ``arm`` in the process itself, or for a process that they
start with ``GREENROOM_FAULT``, which is read once, at import: ``point:nth:kill|raise|drop``, several joined by commas.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from actors.errors import TransportLost

VARIABLE: Final = "GREENROOM_FAULT"


class Point(StrEnum):
    """The places, by who passes them and when."""

    commit_before = "session.commit.before"
    commit_after = "session.commit.after"
    store_before = "store.commit.before"
    store_after = "store.commit.after"
    run_before = "call.run.before"
    run_after = "call.run.after"
    attach_before = "call.attach.before"
    attach_after = "call.attach.after"
    cancel_before = "call.cancel.before"
    cancel_after = "call.cancel.after"
    ack_before = "call.ack.before"
    ack_after = "call.ack.after"
    execute_before = "host.execute.before"
    execute_after = "host.execute.after"
    deliver_before = "delivery.before"
    deliver_after = "delivery.after"
    snapshot_before = "snapshot.before"
    snapshot_after = "snapshot.after"
    release_before = "release.before"
    release_after = "release.after"
    session_reply = "session.reply"
    store_reply = "store.reply"
    host_reply = "host.reply"


REPLIES: Final = frozenset({Point.session_reply, Point.store_reply, Point.host_reply})
"""Where an answer is about to leave, and can be dropped: whoever asked hears nothing."""


class What(StrEnum):
    """What happens at a place."""

    kill = "kill"
    """The process ends as by ``kill -9``."""

    fail = "raise"
    """TransportLost: whoever passes cannot know what came of it."""

    drop = "drop"
    """The reply never comes: whoever waits for it does so until cancelled."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong once: when ``point`` is passed for the ``nth`` time, from 1."""

    point: Point
    nth: int
    what: What

    def __post_init__(self) -> None:
        if self.nth < 1:
            raise ValueError(f"a place is passed for the first time as number 1, not {self.nth}")
        if self.what is What.drop and self.point not in REPLIES:
            raise ValueError(f"nothing can be dropped at {self.point}: only replies can")


@dataclass(slots=True)
class Armed:
    """What is armed, and how often each place was passed since."""

    faults: frozenset[Fault]
    passed: Counter[Point] = field(default_factory=Counter[Point])

    def due(self, point: Point) -> What | None:
        """Count one passing; kill or fail if that is due. Returns what the caller has to do itself."""
        self.passed[point] += 1
        for fault in self.faults:
            if (fault.point, fault.nth) == (point, self.passed[point]):
                if fault.what is What.kill:
                    os.kill(os.getpid(), signal.SIGKILL)
                if fault.what is What.fail:
                    raise TransportLost(f"what is beyond {point}")
                return fault.what
        return None


def parse(text: str) -> tuple[Fault, ...]:
    """Read the variable's form.

    Raises:
        ValueError: It is not ``point:nth:kill|raise|drop``, joined by commas.
    """
    faults: list[Fault] = []
    for one in text.split(","):
        point, nth, what = one.split(":")
        faults.append(Fault(Point(point), int(nth), What(what)))
    return tuple(faults)


def arm(*faults: Fault) -> Armed:
    """Arm these instead of what was armed; with none, places are only counted."""
    global _armed
    _armed = Armed(frozenset(faults))
    return _armed


def disarm() -> None:
    """As in production."""
    global _armed
    _armed = None


def hit(point: Point) -> None:
    """Pass a place."""
    if _armed is not None:
        _armed.due(point)


async def reach(point: Point) -> None:
    """Pass a place where a reply leaves, one of ``REPLIES``."""
    if _armed is not None and _armed.due(point) is What.drop:
        await asyncio.get_running_loop().create_future()


_armed: Armed | None = None
if VARIABLE in os.environ:
    arm(*parse(os.environ[VARIABLE]))
