"""A call that asks, when something breaks at a place of ``actors.faults``: before, in and after its wait."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import faults
from actors.domain import records as r
from actors.domain.messages import TokenUsage
from actors.faults import Fault, Point, What
from actors.handle import SessionHandle
from tests.unit.local.runtimes import LIMIT_S, result_texts
from tests.unit.mcp.asked_life import ANSWERED, MODEL, PEOPLE, live, opened

ROOT = Path(__file__).resolve().parents[3]

PLACES = (
    Point.commit_before,
    Point.commit_after,
    Point.run_before,
    Point.run_after,
    Point.execute_before,
    Point.execute_after,
    Point.ack_before,
    Point.ack_after,
    Point.store_after,
)


@pytest.fixture(autouse=True)
def nothing_stays_armed() -> Iterator[None]:
    yield
    faults.disarm()


async def _once(session: SessionHandle, folder: Path) -> str:
    """The journal is whole, the server asked once for each time that the call began, and what the model read."""
    written = await session.records(limit=1000)
    assert [one.seq for one in written] == list(range(1, len(written) + 1))
    resolved = Counter(one.data.action_id for one in written if isinstance(one, r.ActionResolved))
    requested = Counter(one.data.action_id for one in written if isinstance(one, r.ActionRequested))
    assert resolved == requested and set(requested.values()) <= {1}
    asked = (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []
    assert len(asked) <= 1, "an unsafe call began twice"
    spent = [one.data.usage for one in written if isinstance(one, r.ModelCallCompleted | r.ModelCallFailed)]
    assert (await session.usage()).total.usage == sum(spent, TokenUsage())
    (text,) = result_texts(await session.history())
    return text


@pytest.mark.parametrize("point", PLACES)
async def test_a_call_that_asks_is_made_once_and_answered_once_whatever_fails(tmp_path: Path, point: Point) -> None:
    # The first passings are the model call's; the rest are those of the two attempts, and of the model that answers.
    for whom, nth in ((PEOPLE, 2), (PEOPLE, 3), (MODEL, 3)):
        folder = tmp_path / f"{whom}{nth}"
        folder.mkdir()
        faults.arm(Fault(point, nth, What.fail))
        async with asyncio.timeout(LIMIT_S), opened(folder) as manager:
            text = await _once(await live(manager, folder, whom), folder)
        assert any(told in text for told in (ANSWERED[whom], *WITHOUT)), text


WITHOUT = ("unknown", "No model has answered")
"""What the model may read instead: nobody knows what came of the call, or the tool was told that it gets no answer."""

KILLS = (
    (PEOPLE, "host.execute.after:2:kill"),
    (PEOPLE, "session.commit.after:2:kill"),
    (PEOPLE, "host.execute.before:3:kill"),
    (MODEL, "host.execute.after:3:kill"),
)
"""With the question at the host and in no journal; as it is recorded; with the answer recorded and not delivered; with
a model's answer at its host and in no journal."""


async def test_a_process_that_dies_with_its_call_running_or_asking_leaves_it_in_doubt_and_runs_it_once(
    tmp_path: Path,
) -> None:
    async def killed(whom: str, given: str) -> tuple[str, Path]:
        folder = tmp_path / f"{whom}-{given}"
        folder.mkdir()
        command = [sys.executable, "-m", "tests.unit.mcp.asked_life", str(folder), whom]
        environment = os.environ | {faults.VARIABLE: given}
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment)
        assert await process.wait() == -signal.SIGKILL
        return whom, folder

    for whom, folder in await asyncio.gather(*(killed(*one) for one in KILLS)):
        async with asyncio.timeout(LIMIT_S), opened(folder) as manager:
            text = await _once(await live(manager, folder, whom), folder)
        assert any(told in text for told in (ANSWERED[whom], *WITHOUT)), text
