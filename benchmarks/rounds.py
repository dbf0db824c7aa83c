"""Runs measures on runtimes of their own, each between two calibrations; rounds on an unsteady machine are repeated."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors import SessionManager, Settings
from benchmarks.calibration import Calibration, calibrate
from benchmarks.figures import Figure, Measure, Place, Unit

DENSE_ACTORS = 4
DENSITY = 50
"""Actors of the dense runtime, and sessions of each: 200 together. Fewer sessions spread evenly."""

EACH = 32
"""Actors of as many sessions, one in each. Ray takes 7 ms a second for every actor that does nothing."""

START_S = 300.0
"""Longest start of a layout: 64 actors take a minute on two quiet cores."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How sessions lie in actors."""

    name: str
    per_actor: int
    actors: int


@dataclass(frozen=True, slots=True)
class Result:
    """A figure beside what it is compared with. ``steady``: the machine did not change meanwhile."""

    figure: Figure
    layout: Layout
    calibration: Calibration
    steady: bool

    @property
    def ratio(self) -> float:
        """The figure in empty calls (a time), or to the rate of empty calls; a ratio is itself."""
        match self.figure.unit:
            case Unit.seconds:
                return self.figure.value / self.calibration.call_s
            case Unit.per_second:
                return self.figure.value / self.calibration.per_s
            case _:
                return self.figure.value

    @property
    def met(self) -> bool | None:
        """Whether the ratio is within its bounds; None when it has none."""
        figure = self.figure
        if figure.most is None and figure.least is None:
            return None
        return not (
            (figure.most is not None and self.ratio > figure.most)
            or (figure.least is not None and self.ratio < figure.least)
        )


def layouts(*, warm: int) -> dict[Place, Layout]:
    """How sessions lie in actors.

    Args:
        warm: Actors of the wide layout: each takes some 60 MB.
    """
    return {
        Place.alone: Layout("one per actor", 1, 4),
        Place.dense: Layout(f"{DENSITY} per actor", DENSITY, DENSE_ACTORS),
        Place.each: Layout(f"one per actor, {EACH} warm", 1, EACH),
        Place.wide: Layout(f"one per actor, {warm} warm", 1, warm),
    }


@asynccontextmanager
async def runtime(layout: Layout, directory: Path) -> AsyncGenerator[SessionManager]:
    """A runtime whose actors are all there, on a database of its own."""
    settings = Settings(
        runtime=f"bench-{secrets.token_hex(4)}",
        min_warm=layout.actors,
        max_resident=layout.actors,
        sessions_per_actor=layout.per_actor,
        idle_timeout_s=3600,
        workspace=str(directory),
    )
    store = directory / settings.runtime
    tools = ("benchmarks.tools:nothing",)
    async with await SessionManager.with_persistence("scripted/echo", store, settings=settings, tools=tools) as manager:
        async with asyncio.timeout(START_S):
            await _all_started(manager, layout)
        yield manager


async def _all_started(manager: SessionManager, layout: Layout) -> None:
    """Starting actors takes seconds of both cores; nothing may be measured beside it."""
    status = await manager.runtime_status()
    while status["session_actors"] < layout.actors:
        await asyncio.sleep(0.2)
        status = await manager.runtime_status()
    pioneers = await manager.create_sessions([f"pioneer-{n}" for n in range(layout.actors)])
    await asyncio.gather(*(session.generate("hello") for session in pioneers))
    for session in pioneers:
        await manager.destroy_session(session.session_id)


async def rounds(
    manager: SessionManager, layout: Layout, measures: Sequence[Measure], tries: int, say: Callable[[str], None]
) -> list[Result]:
    """Measure, each up to ``tries`` times until the machine was steady meanwhile."""
    found: list[Result] = []
    for measure in measures:
        for attempt in range(1, tries + 1):
            say(f"{measure.name} ({layout.name})" + (f", attempt {attempt}" if attempt > 1 else ""))
            results = await _round(manager, layout, measure)
            if results[0].steady or attempt == tries:
                found += results
                break
    return found


async def _round(manager: SessionManager, layout: Layout, measure: Measure) -> list[Result]:
    before = await calibrate(await _actor(manager))
    figures = await measure.run(manager)
    after = await calibrate(await _actor(manager))
    steady = before.agrees_with(after)
    return [Result(figure, layout, before.mean(after), steady) for figure in figures]


async def _actor(manager: SessionManager) -> Any:
    """A warm session actor: that of a session which was just active."""
    session = await manager.create_session(f"calibration-{secrets.token_hex(4)}")
    await session.generate("hello")
    actor = (await session.resolve()).actor
    await manager.destroy_session(session.session_id)
    return actor
