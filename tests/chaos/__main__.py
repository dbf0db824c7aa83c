"""``make chaos FAULTS=1000 SEED=7``: faults under load, in three settings, and the report."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.chaos.report import Report
from tests.chaos.rounds import chaos, chaos_of_nodes, chaos_over_http


def main() -> int:
    """Run it and print the report, when it is interrupted that of the rounds before; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument(
        "--seed", type=int, default=None, help="the same seed plans the same faults; random when left out"
    )
    arguments = parser.parse_args()
    seed = random.randrange(1 << 31) if arguments.seed is None else arguments.seed
    report, quarter = Report(seed), arguments.faults // 4
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, suppress(KeyboardInterrupt):
        directory = Path(name)
        chaos_over_http(directory, report, faults=quarter)
        chaos_of_nodes(directory, report, faults=quarter)
        chaos(directory, report, faults=arguments.faults - 2 * quarter)
    sys.stdout.write(report.text() + "\n")
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
