"""What survives at each place of ``actors.faults``: a process killed there, an operation that fails there."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from actors import faults
from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.faults import REPLIES, WIRE, Fault, Point, What
from actors.handle import SessionHandle
from actors.session.committer import Committer
from tests.unit.local.faulted import (
    ACTED,
    CALLS,
    CHILDREN,
    EDITS,
    HELD,
    acted,
    edited,
    large,
    live,
    opened,
    with_lost_requests,
)
from tests.unit.local.runtimes import LIMIT_S

ROOT = Path(__file__).resolve().parents[3]

WAITS_FOR_ARMS = """
import time
from actors import faults
print(flush=True)
while True:
    faults.hit(faults.Point.ack_after)
    time.sleep(0.001)
"""
"""A program that passes one place again and again, and says when it begins to."""

PLACES = [point for point in Point if point not in WIRE]
"""Those that a runtime in one process passes: it has no data plane."""


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every release writes a snapshot; nothing stays armed."""
    assert Committer.snapshot.__kwdefaults__ is not None
    monkeypatch.setitem(Committer.snapshot.__kwdefaults__, "threshold", 1)
    yield
    faults.disarm()


async def _whole(session: SessionHandle) -> None:
    """The journal has no gap, and each input is in it once and has come to an end."""
    records = await session.records(limit=1000)
    assert [one.seq for one in records] == list(range(1, len(records) + 1))
    inputs = Counter(one.cause for one in records if isinstance(one, r.UserMessage))
    assert inputs == Counter((*ACTED, *EDITS, *HELD))
    calls = {one.data.call_id for one in records if isinstance(one, r.ToolCallStarted)}
    budget = (await session.info()).budget
    assert budget is not None
    assert (budget.used.tool_calls, budget.leased.tool_calls) == (len(calls), 0)
    assert budget.remaining.tool_calls == CALLS - len(calls)
    assert sum(isinstance(one, r.LeaseReturned) for one in records) == len(CHILDREN)
    await _artifacts_whole(session, records)
    ends = (r.TurnCompleted, r.TurnFailed, r.TurnCancelled)
    assert sum(isinstance(one, ends) for one in records) == sum(isinstance(one, r.TurnStarted) for one in records)


async def _artifacts_whole(session: SessionHandle, records: Sequence[r.Record]) -> None:
    """What is named can be read, and is what the tool gave; what is not named is not there."""
    named = [one.data.artifact for one in records if isinstance(one, r.ToolCallCompleted) and one.data.artifact]
    assert list(await session.artifacts()) == named
    texts = {large(what).encode() for what in ACTED}
    assert {await session.read_artifact(one) for one in named} <= texts
    done = [one for one in records if isinstance(one, r.ToolCallCompleted) and one.data.outcome is Outcome.ok]
    assert len(named) == sum(one.data.name == "act" for one in done)


async def _again(folder: Path) -> None:
    """Live what is left of a life that was broken off, and look at all of it."""
    async with asyncio.timeout(LIMIT_S), opened(folder) as manager:
        session = await live(manager)
        await _whole(session)
        assert len(await session.child_results()) == 2
    assert max(Counter(acted(folder)).values(), default=0) <= 1
    assert edited(folder) == "!++"
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]


async def test_a_life_passes_every_place_twice(tmp_path: Path) -> None:
    armed = faults.arm(*with_lost_requests())
    async with asyncio.timeout(LIMIT_S), opened(tmp_path) as manager:
        await _whole(await live(manager))
    assert acted(tmp_path) == list(ACTED)
    assert edited(tmp_path) == "!++"
    assert {point for point in PLACES if armed.passed[point] < 2} == set()


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """A process that lives lives."""
    command = [sys.executable, "-m", "tests.unit.local.fault_server"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as started:
        yield started
        started.communicate(timeout=LIMIT_S)


def _ended(server: subprocess.Popen[str], folder: Path, *given: Fault) -> int:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{folder} {','.join(f'{one.point}:{one.nth}:{one.what}' for one in given)}\n")
    server.stdin.flush()
    return int(server.stdout.readline())


@pytest.mark.parametrize("point", PLACES)
async def test_a_process_that_is_killed_at_a_place_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, server: subprocess.Popen[str], point: Point
) -> None:
    """The one that follows fails there, and is killed the next time."""
    assert _ended(server, tmp_path, Fault(point, 1, What.kill)) == -signal.SIGKILL
    # There may be too little left to come by twice.
    assert _ended(server, tmp_path, Fault(point, 1, What.fail), Fault(point, 2, What.kill)) in {-signal.SIGKILL, 0}

    faults.arm(*with_lost_requests())
    await _again(tmp_path)


@pytest.mark.parametrize("point", sorted(REPLIES))
async def test_replies_that_are_lost_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: Point
) -> None:
    for name in ("ANSWER_S", "SEAT_S", "RUN_S"):
        monkeypatch.setattr(f"actors.session.patience.{name}", 0.3)
    monkeypatch.setattr("tests.unit.local.faulted.PATIENCE_S", 0.4)
    armed = faults.arm(*(Fault(point, nth, What.drop) for nth in (1, 2)))

    await _again(tmp_path)

    assert armed.passed[point] >= 2


def test_the_variable_names_what_goes_wrong_and_where() -> None:
    found = faults.parse("session.reply:2:drop,store.commit.after:1:kill")
    assert found == (Fault(Point.session_reply, 2, What.drop), Fault(Point.store_after, 1, What.kill))


def test_a_process_that_is_started_with_the_variable_dies_where_it_says() -> None:
    code = "from actors import faults; p = faults.Point.ack_after; faults.hit(p); faults.hit(p)"
    for nth, ended in ((2, -signal.SIGKILL), (3, 0)):
        environment = {**os.environ, faults.VARIABLE: f"call.ack.after:{nth}:kill"}
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment).returncode == ended


@pytest.mark.parametrize("first", ["", "session.reply:9:drop"])
def test_a_running_process_arms_what_is_written_to_its_pipe(tmp_path: Path, first: str) -> None:
    environment = {**os.environ, faults.PIPES: str(tmp_path)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", WAITS_FOR_ARMS]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (tmp_path / str(process.pid)).write_text(f"{first}\ncall.ack.after:1:kill\n")
        assert process.wait(LIMIT_S) == -signal.SIGKILL
    assert (tmp_path / faults.DONE).read_text() == f"{process.pid} call.ack.after kill\n"


@pytest.mark.parametrize("text", ["", "session.reply", "nowhere:1:kill", "session.reply:0:kill", "session.reply:1:x"])
def test_a_variable_that_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        faults.parse(text)


def test_nothing_outside_a_process_arms_anything_in_it_unless_it_was_started_so(tmp_path: Path) -> None:
    code = "import os, threading; from actors import faults; print(threading.active_count(), faults._armed)"
    environment = {name: value for name, value in os.environ.items() if name not in {faults.VARIABLE, faults.PIPES}}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["1", "None"]


@pytest.mark.parametrize("point", sorted(set(Point) - WIRE))
def test_only_connections_are_cut(point: Point) -> None:
    with pytest.raises(ValueError, match="only connections"):
        Fault(point, 1, What.cut)


@pytest.mark.parametrize("point", sorted(set(Point) - REPLIES))
def test_only_replies_are_dropped(point: Point) -> None:
    with pytest.raises(ValueError, match="only replies"):
        Fault(point, 1, What.drop)


async def test_a_reply_that_is_dropped_never_comes() -> None:
    faults.arm(Fault(Point.session_reply, 1, What.drop))
    waits = asyncio.ensure_future(faults.reach(Point.session_reply))
    await asyncio.sleep(0)
    assert not waits.done()
    waits.cancel()
    await faults.reach(Point.session_reply)
