"""Boundary between the benchmarks and the processes of a runtime: their processor time and private memory."""

from __future__ import annotations

import os
import time
from pathlib import Path

from actors.cluster.links import actor_named, actor_names

_TICKS = os.sysconf("SC_CLK_TCK")


async def pids(runtime: str, kind: str = "") -> list[int]:
    """The processes of a runtime's actors, or of one kind of them: session, models, tools, registry, store."""
    return [await actor_named(name).pid.remote() for name in sorted(actor_names(f"{runtime}.{kind}"))]


def cpu_s(processes: list[int]) -> float:
    """Processor seconds of these processes and of this one, since they began."""
    return time.process_time() + sum(map(_cpu_s, processes))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def private_bytes(pid: int) -> int:
    """Memory that a process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))
