"""``make chaos FAULTS=1000 SEED=7``: faults under load on a Ray of its own, and the report."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ray

from actors.cluster.links import NAMESPACE
from actors.faults import PIPES
from tests.chaos import invariants
from tests.chaos.remains import GONE_S
from tests.chaos.report import Report
from tests.chaos.run import run
from tests.chaos.served import run_served
from tests.integration.processes import descendants, none_left

MOST = 50
"""Faults of one round: everybody's history is looked at after so many, and everything begins anew."""


def chaos(directory: Path, *, seed: int, faults: int, most: int = MOST) -> Report:
    """Rounds on one Ray, with one session in each process and with two by turns; what is left at its end counts too."""
    report = Report(seed)
    before = descendants()
    pipes = _pipes(directory)
    # Ray's processes inherit it.
    os.environ[PIPES] = str(pipes)
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
            place = directory / str(number)
            place.mkdir()
            made = run(place, pipes, seed=seed + number, faults=some, dense=number % 2 == 1)
            report.add(asyncio.run(made))
    finally:
        del os.environ[PIPES]
        started = descendants() - before
        ray.shutdown()
        left = none_left(started, GONE_S)
    report.violations += invariants.nothing_left({"process": left})
    return report


def chaos_over_http(directory: Path, *, seed: int, faults: int, most: int = MOST) -> Report:
    """Rounds with a ``greenroom serve`` each."""
    report = Report(seed)
    pipes = _pipes(directory)
    for number, some in enumerate(_rounds(faults, most)):
        place = directory / f"served-{number}"
        place.mkdir()
        report.add(asyncio.run(run_served(place, pipes, seed=seed + number, faults=some)))
    return report


def _pipes(directory: Path) -> Path:
    pipes = directory / "pipes"
    pipes.mkdir(exist_ok=True)
    return pipes


def _rounds(faults: int, most: int) -> Iterator[int]:
    return (min(most, faults - done) for done in range(0, faults, most))


def main() -> int:
    """Run it and print the report; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument(
        "--seed", type=int, default=None, help="the same seed plans the same faults; random when left out"
    )
    arguments = parser.parse_args()
    seed = random.randrange(1 << 31) if arguments.seed is None else arguments.seed
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        over_http = arguments.faults // 4
        report = chaos(Path(directory), seed=seed, faults=arguments.faults - over_http)
        report.add(chaos_over_http(Path(directory), seed=seed, faults=over_http))
    sys.stdout.write(report.text() + "\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
