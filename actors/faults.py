"""Named places at which a test can make a process die, an operation fail, a reply get lost, or a connection break.

Each place is a boundary where something has just become durable, or is about to, or where a message arrives or leaves.
Production arms none: a place then costs one look at a module's variable. Tests arm them

- with ``arm``, in the process itself;
- with ``GREENROOM_FAULT``, for a process that they start: ``point:nth:kill|raise|drop|cut``, several joined by commas;
- through a pipe, while a process runs: one that was started with ``GREENROOM_FAULT_PIPES`` makes a pipe of its pid's
  name in that directory, arms each line that is written to it in place of what was armed (an empty one: nothing), and
  adds a line ``pid point what`` to the file ``done`` there when something goes wrong as planned.

Both variables are read once, at import. Without them nothing outside a process can arm anything in it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from actors.errors import TransportLost

VARIABLE: Final = "GREENROOM_FAULT"

PIPES: Final = "GREENROOM_FAULT_PIPES"

DONE: Final = "done"
"""File beside the pipes that tells what went wrong."""


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
    record_before = "host.record.before"
    record_after = "host.record.after"
    piece_after = "tool.piece.after"
    deliver_before = "delivery.before"
    deliver_after = "delivery.after"
    snapshot_before = "snapshot.before"
    snapshot_after = "snapshot.after"
    create_before = "store.create.before"
    create_after = "store.create.after"
    destroy_before = "store.destroy.before"
    destroy_after = "store.destroy.after"
    assign_before = "assign.before"
    assign_after = "assign.after"
    release_before = "release.before"
    release_after = "release.after"
    session_reply = "session.reply"
    store_reply = "store.reply"
    host_reply = "host.reply"
    create_reply = "store.create.reply"
    destroy_reply = "store.destroy.reply"
    assign_reply = "assign.reply"
    release_reply = "release.reply"
    wire_request = "wire.request"
    wire_reply = "wire.reply"


WIRE: Final = frozenset({Point.wire_request, Point.wire_reply})
"""Where the serving end of the data plane has a request, or is about to send a reply, and can cut the connection."""

REPLIES: Final = frozenset(
    {
        Point.session_reply,
        Point.store_reply,
        Point.host_reply,
        Point.create_reply,
        Point.destroy_reply,
        Point.assign_reply,
        Point.release_reply,
    }
)
"""Where an answer is about to leave, and can be dropped: whoever asked hears nothing."""


class What(StrEnum):
    """What happens at a place."""

    kill = "kill"
    """The process ends as by ``kill -9``."""

    fail = "raise"
    """TransportLost: whoever passes cannot know what came of it."""

    drop = "drop"
    """The reply never comes: whoever waits for it does so until cancelled."""

    cut = "cut"
    """The connection breaks, and with it all that others asked over it: nobody can know what came of it."""


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
        if self.what is What.cut and self.point not in WIRE:
            raise ValueError(f"nothing can be cut at {self.point}: only connections can")


@dataclass(slots=True)
class Armed:
    """What is armed, and how often each place was passed since; ``done`` is the file that is told what went wrong."""

    faults: frozenset[Fault]
    passed: Counter[Point] = field(default_factory=Counter[Point])
    done: Path | None = None

    def due(self, point: Point) -> What | None:
        """Count one passing; kill or fail if that is due. Returns what the caller has to do itself."""
        self.passed[point] += 1
        for fault in self.faults:
            if (fault.point, fault.nth) == (point, self.passed[point]):
                self._tell(fault)
                if fault.what is What.kill:
                    os.kill(os.getpid(), signal.SIGKILL)
                if fault.what is What.fail:
                    raise TransportLost(f"what is beyond {point}")
                return fault.what
        return None

    def _tell(self, fault: Fault) -> None:
        if self.done is not None:
            with self.done.open("a") as file:
                file.write(f"{os.getpid()} {fault.point} {fault.what}\n")


def parse(text: str) -> tuple[Fault, ...]:
    """Read the variable's form.

    Raises:
        ValueError: It is not ``point:nth:kill|raise|drop|cut``, joined by commas.
    """
    faults: list[Fault] = []
    for one in text.split(","):
        point, nth, what = one.split(":")
        faults.append(Fault(Point(point), int(nth), What(what)))
    return tuple(faults)


def arm(*faults: Fault, done: Path | None = None) -> Armed:
    """Arm these instead of what was armed; with none, places are only counted."""
    global _armed
    _armed = Armed(frozenset(faults), done=done)
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


def cuts(point: Point) -> bool:
    """Pass a place on the data plane, one of ``WIRE``; True when its connection is to be cut."""
    return _armed is not None and _armed.due(point) is What.cut


def listen(directory: Path) -> None:
    """Arm what is written to this process's pipe, as long as it lives."""
    pipe = directory / str(os.getpid())
    with suppress(FileNotFoundError):
        pipe.unlink()  # Of an earlier process with this pid.
    os.mkfifo(pipe, 0o600)
    # Open for writing too: it then has no end when a writer goes.
    lines = os.fdopen(os.open(pipe, os.O_RDWR))

    def read() -> None:
        for line in lines:
            if line.strip():
                arm(*parse(line.strip()), done=directory / DONE)
            else:
                disarm()

    threading.Thread(target=read, name="faults", daemon=True).start()


_armed: Armed | None = None
if VARIABLE in os.environ:
    arm(*parse(os.environ[VARIABLE]))
if PIPES in os.environ:
    listen(Path(os.environ[PIPES]))
