"""``python -m benchmarks``: measures on Ray on this machine, prints a table, and writes JSON when asked to."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.figures import Measure
from benchmarks.measures import measures
from benchmarks.report import show, write
from benchmarks.rounds import Layout, Result, layouts, rounds, runtime

TRIES = 3
"""Rounds of one measure on a machine that is not steady; the last one is shown all the same, and marked."""

DORMANT = 1_000_000
"""Sessions of a store that has been in use for years: some 2 GB of disk, and a minute to write."""

WARM = 64
ACTOR_KB = 96 * 1024
"""Session actors of the wide layout, and what one of them takes with what Ray keeps for it."""

WIDTH = 120
"""Columns of the table where there is no terminal."""


def _affordable() -> int:
    """64 actors, or as many as take half of the memory that is free."""
    available = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:")
    )
    return max(4, min(WARM, int(available.split()[1]) // (2 * ACTOR_KB)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file too")
    names = [one.name for one in measures(DORMANT)]
    parser.add_argument("--only", action="append", choices=names, help="measure this only")
    parser.add_argument("--tries", type=int, default=TRIES, help="rounds until the machine is steady (%(default)s)")
    parser.add_argument("--warm", type=int, default=_affordable(), help="actors that wake 200 sessions (%(default)s)")
    parser.add_argument("--dormant", type=int, default=DORMANT, help="sessions of a full store (%(default)s)")
    parser.add_argument("--directory", type=Path, help="where the databases are; it should be on the disk that matters")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace, directory: Path, console: Console) -> list[Result]:
    import ray

    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    results: list[Result] = []
    try:
        with console.status("Starting Ray") as status:
            for layout, some in _planned(arguments):
                status.update(f"Starting the actors ({layout.name})")
                async with runtime(layout, directory) as manager:
                    results += await rounds(manager, layout, some, arguments.tries, status.update)
    finally:
        ray.shutdown()
    return results


def _planned(arguments: argparse.Namespace) -> list[tuple[Layout, list[Measure]]]:
    chosen = [one for one in measures(arguments.dormant) if not arguments.only or one.name in arguments.only]
    places = layouts(warm=arguments.warm).items()
    plans = [(layout, [one for one in chosen if one.place is place]) for place, layout in places]
    return [(layout, some) for layout, some in plans if some]


def main() -> None:
    """Measure what was asked for."""
    # One user's loopback cluster that lives for a minute.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    arguments = _arguments()
    # Piped into a file, the table has no terminal to fit into.
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-", dir=arguments.directory) as directory:
        results = asyncio.run(_run(arguments, Path(directory), console))
    show(console, results)
    if arguments.json is not None:
        write(arguments.json, results)


if __name__ == "__main__":
    main()
