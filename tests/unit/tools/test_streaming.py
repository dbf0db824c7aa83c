"""Generators as tools: pieces as they come, a final value, and an end when nobody wants them any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.domain.calls import Outcome, ToolOutcome
from actors.tools.executor import ToolExecutor
from actors.tools.function import FunctionTool, tool
from actors.tools.registry import ToolRegistry

from .conftest import MakeCall


class _Host:
    """Runs one tool, and sees its pieces."""

    def __init__(self, made: FunctionTool[..., Any], workspace: Path, make_call: MakeCall) -> None:
        self._executor = ToolExecutor(workspace, ToolRegistry([made]))
        self._call = make_call(made.definition.name)
        self.pieces: list[str] = []
        self.shown = asyncio.Event()

    def _emit(self, channel: str, text: str) -> None:
        self.pieces.append(text)
        self.shown.set()

    async def run(self) -> ToolOutcome:
        return await self._executor.execute(self._call, self._emit)

    async def cancelled_at_the_first_piece(self, beyond: threading.Event | None = None) -> ToolOutcome:
        """Cancelled once the piece is shown and, when given, the generator has gone on."""
        running = asyncio.create_task(self.run())
        await self.shown.wait()
        if beyond is not None:
            await asyncio.to_thread(beyond.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return self._executor.cancelled(self._call, [])


async def test_pieces_are_shown_and_what_is_returned_is_the_result(workspace: Path, make_call: MakeCall) -> None:
    @tool
    def build() -> Generator[object, None, dict[str, int]]:
        yield "compiling\n"
        yield {"done": 1}
        return {"files": 2}

    host = _Host(build, workspace, make_call)
    outcome = await host.run()

    assert (outcome.outcome, outcome.content) == (Outcome.ok, '{"files": 2}')
    assert host.pieces == ["compiling\n", '{"done": 1}\n']


async def test_without_a_returned_value_the_last_piece_is_the_result(workspace: Path, make_call: MakeCall) -> None:
    @tool
    def plain() -> Iterator[str]:
        yield "first"
        yield "last"

    @tool
    async def asynchronous() -> AsyncIterator[str]:
        yield "first"
        await asyncio.sleep(0)
        yield "last"

    for one in (plain, asynchronous):
        host = _Host(one, workspace, make_call)
        assert ((await host.run()).content, host.pieces) == ("last", ["first", "last"])


async def test_an_outcome_as_the_last_value_is_the_result_and_not_shown(workspace: Path, make_call: MakeCall) -> None:
    @tool
    async def refuse() -> AsyncIterator[object]:
        yield "trying"
        yield ToolOutcome(outcome=Outcome.error, content="no", exit_code=3)

    host = _Host(refuse, workspace, make_call)
    assert ((await host.run()).exit_code, host.pieces) == (3, ["trying"])


async def test_a_generator_that_fails_half_way_is_an_error(workspace: Path, make_call: MakeCall) -> None:
    @tool
    def fail() -> Iterator[str]:
        yield "so far"
        raise ValueError("no luck")

    host = _Host(fail, workspace, make_call)
    outcome = await host.run()
    assert (outcome.outcome, host.pieces) == (Outcome.error, ["so far"])
    assert "no luck" in outcome.content


async def test_an_async_generator_that_waits_for_nothing_lets_others_on(workspace: Path, make_call: MakeCall) -> None:
    @tool(effect="pure")
    async def busy() -> AsyncIterator[str]:
        """Busy."""
        for _ in range(100_000):
            yield "x"

    host = _Host(busy, workspace, make_call)
    outcome = await host.cancelled_at_the_first_piece()

    assert outcome.outcome is Outcome.cancelled
    assert len(host.pieces) < 100


async def test_a_cancelled_async_generator_is_closed(workspace: Path, make_call: MakeCall) -> None:
    closed = asyncio.Event()

    @tool
    async def endless() -> AsyncIterator[str]:
        try:
            yield "piece"
            await asyncio.Event().wait()
        finally:
            closed.set()

    outcome = await _Host(endless, workspace, make_call).cancelled_at_the_first_piece()
    assert closed.is_set() and outcome.outcome is Outcome.cancelled


async def test_a_cancelled_sync_generator_is_closed_in_its_thread_before_its_end_is_told(
    workspace: Path, make_call: MakeCall
) -> None:
    threads: list[int] = []

    @tool
    def endless() -> Iterator[str]:
        threads.append(threading.get_ident())
        try:
            while True:
                yield "piece"
        finally:
            threads.append(threading.get_ident())

    outcome = await _Host(endless, workspace, make_call).cancelled_at_the_first_piece()
    assert outcome.outcome is Outcome.cancelled
    assert len(threads) == 2 and threads[0] == threads[1] != threading.get_ident()


async def test_of_a_cancelled_generator_that_does_not_come_to_its_next_piece_nobody_knows_what_it_does(
    workspace: Path, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.tools.threads.STOP_GRACE_S", 0.01)
    beyond, released = threading.Event(), threading.Event()

    @tool
    def hang() -> Iterator[str]:
        yield "piece"
        beyond.set()
        released.wait()

    outcome = await _Host(hang, workspace, make_call).cancelled_at_the_first_piece(beyond)
    released.set()
    assert outcome.outcome is Outcome.unknown


async def test_a_generator_ends_with_its_time(workspace: Path, make_call: MakeCall) -> None:
    @tool(timeout=0.05)
    def endless() -> Iterator[str]:
        while True:
            yield "piece"

    outcome = await _Host(endless, workspace, make_call).run()
    assert (outcome.outcome, "was stopped" in outcome.content) == (Outcome.timeout, True)
