"""Results as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Unit
from benchmarks.rounds import Result


def show(console: Console, results: Sequence[Result]) -> None:
    """Print the table."""
    table = Table(title="Ratios: times in empty calls, rates to the rate of empty calls")
    for heading in ("figure", "layout", "measured", "empty call", "ratio", "target", ""):
        table.add_column(heading, justify="left" if heading in {"figure", "layout", ""} else "right")
    for result in results:
        table.add_row(
            result.figure.name,
            result.layout.name,
            _shown(result.figure.value, result.figure.unit),
            _empty(result),
            f"{result.ratio:.2f}" if result.figure.unit in _COMPARED else "",
            _target(result),
            _verdict(result),
        )
    console.print(table)


_COMPARED = (Unit.seconds, Unit.per_second, Unit.ratio)


def _shown(value: float, unit: Unit) -> str:
    match unit:
        case Unit.seconds:
            return f"{value * 1000:.2f} ms"
        case Unit.per_second:
            return f"{value:,.0f}/s"
        case Unit.ratio:
            return f"{value:.2f}x"
        case Unit.megabytes:
            return f"{value:.1f} MB"
        case Unit.bytes:
            return f"{value:,.0f} B"
        case Unit.number:
            return f"{value:g}"


def _empty(result: Result) -> str:
    match result.figure.unit:
        case Unit.seconds:
            return _shown(result.calibration.call_s, Unit.seconds)
        case Unit.per_second:
            return _shown(result.calibration.per_s, Unit.per_second)
        case _:
            return ""


def _target(result: Result) -> str:
    if result.figure.most is not None:
        return f"<= {result.figure.most:g}"
    return f">= {result.figure.least:g}" if result.figure.least is not None else ""


def _verdict(result: Result) -> str:
    words = {True: "met", False: "missed", None: ""}[result.met]
    return words if result.steady else f"{words} (unsteady)".strip()


def write(path: Path, results: Sequence[Result]) -> None:
    """Write a JSON file: where and when it was measured, and each result with its calibration."""
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "kernel": platform.release()},
        "results": [_plain(result) for result in results],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _plain(result: Result) -> dict[str, Any]:
    return {
        "name": result.figure.name,
        "layout": result.layout.name,
        "value": result.figure.value,
        "unit": result.figure.unit.value,
        "ratio": result.ratio,
        "most": result.figure.most,
        "least": result.figure.least,
        "met": result.met,
        "steady": result.steady,
        "noop_p50_s": result.calibration.call_s,
        "noop_per_s": result.calibration.per_s,
    }
