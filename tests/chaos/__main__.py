"""``make chaos FAULTS=1000 SEED=7``: faults under load on a Ray of its own, and the report."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path

import ray

from actors.cluster.links import NAMESPACE
from actors.faults import PIPES
from tests.chaos import invariants
from tests.chaos.report import Report
from tests.chaos.run import GONE_S, pipes_below, run
from tests.integration.processes import descendants, none_left


def chaos(directory: Path, *, seed: int, faults: int) -> Report:
    """One run from the start of Ray to its end; what it leaves is a violation too."""
    before = descendants()
    # Ray's processes inherit it.
    os.environ[PIPES] = str(pipes_below(directory))
    ray.init(
        address="local",
        num_cpus=4,
        object_store_memory=100 * 1024 * 1024,
        include_dashboard=False,
        log_to_driver=False,
        namespace=NAMESPACE,
    )
    try:
        report = asyncio.run(run(directory, seed=seed, faults=faults))
    finally:
        del os.environ[PIPES]
        started = descendants() - before
        ray.shutdown()
        left = none_left(started, GONE_S)
    report.violations += invariants.nothing_left({"process": left})
    return report


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
        report = chaos(Path(directory), seed=seed, faults=arguments.faults)
    sys.stdout.write(report.text() + "\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
