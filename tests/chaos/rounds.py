"""Rounds of faults: on one Ray, on several nodes, or below an HTTP service; what is left at the end counts too."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from actors.cluster.links import NAMESPACE
from actors.faults import PIPES
from tests.chaos import invariants
from tests.chaos.node import WorkerNode
from tests.chaos.remains import GONE_S
from tests.chaos.report import Report
from tests.chaos.run import run
from tests.chaos.served import run_served
from tests.cluster.raylets import Raylets
from tests.integration.processes import descendants, none_left

MOST = 50
"""Faults of one round: everybody's history is looked at after so many, and everything begins anew."""


def chaos(directory: Path, report: Report, *, faults: int, most: int = MOST) -> None:
    """Rounds on one Ray, with one session in each process and with two by turns.

    Args:
        report: Its seed plans the faults; what rounds do is added to it, one by one.
    """
    with _nothing_left(report), _listening(directory) as pipes:
        ray.init(
            address="local",
            num_cpus=4,
            object_store_memory=100 * 1024 * 1024,
            include_dashboard=False,
            log_to_driver=False,
            namespace=NAMESPACE,
        )
        try:
            for number, some in enumerate(_rounds(faults, most)):
                place = _place(directory, f"one-{number}")
                _hold(report, run(place, pipes, seed=report.seed + number, faults=some, dense=number % 2 == 1))
        finally:
            ray.shutdown()


def chaos_of_nodes(directory: Path, report: Report, *, faults: int, most: int = MOST) -> None:
    """The same on a head and a worker node, which is killed, and frozen until it counts as dead, like the actors."""
    with _nothing_left(report), _listening(directory) as pipes:
        raylets = Raylets()
        try:
            for number, some in enumerate(_rounds(faults, most)):
                place, node = _place(directory, f"nodes-{number}"), WorkerNode(raylets)
                _hold(
                    report, run(place, pipes, seed=report.seed + number, faults=some, dense=number % 2 == 1, node=node)
                )
        finally:
            raylets.shutdown()


def chaos_over_http(directory: Path, report: Report, *, faults: int, most: int = MOST) -> None:
    """Rounds with a ``greenroom serve`` each."""
    for number, some in enumerate(_rounds(faults, most)):
        place = _place(directory, f"served-{number}")
        _hold(report, run_served(place, _pipes(directory), seed=report.seed + number, faults=some))


def _hold(report: Report, one: Coroutine[Any, Any, Report]) -> None:
    """Add what a round did and say so; one that breaks off is a broken promise, and the next begins all the same."""
    try:
        held = asyncio.run(one)
    except Exception:
        held = Report(report.seed, violations=[f"a round broke off: {traceback.format_exc()}"])
    report.add(held)
    sys.stderr.write(held.line() + "\n")


@contextmanager
def _nothing_left(report: Report) -> Generator[None]:
    before = descendants()
    try:
        yield
    finally:
        left = none_left(descendants() - before, GONE_S)
    report.violations += invariants.nothing_left({"process": left})


@contextmanager
def _listening(directory: Path) -> Generator[Path]:
    """Ray's processes that are started meanwhile can be armed: they inherit the variable."""
    os.environ[PIPES] = str(_pipes(directory))
    try:
        yield _pipes(directory)
    finally:
        del os.environ[PIPES]


def _pipes(directory: Path) -> Path:
    pipes = directory / "pipes"
    pipes.mkdir(exist_ok=True)
    return pipes


def _place(directory: Path, name: str) -> Path:
    place = directory / name
    place.mkdir()
    return place


def _rounds(faults: int, most: int) -> Iterator[int]:
    return (min(most, faults - done) for done in range(0, faults, most))
