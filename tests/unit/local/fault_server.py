"""Lives lives that are killed: reads ``folder faults`` lines, answers each with how the process of that life ended.

One interpreter imports everything once and forks for each life, which is why nothing here may start a thread or a loop
before it forks. Run as a module: ``python -m tests.unit.local.fault_server``.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from pathlib import Path

from actors import faults, local
from tests.unit.local.faulted import live, opened, snapshot_always, with_lost_requests


async def _live(folder: Path) -> None:
    async with asyncio.timeout(10), opened(folder) as manager:
        await live(manager)


def _killed(folder: str, given: str) -> int:
    """The exit code of a life in a process of its own: -9 when it was killed, 0 when it came to its end."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
    code = 1
    try:
        snapshot_always()
        faults.arm(*with_lost_requests(*faults.parse(given)))
        asyncio.run(_live(Path(folder)))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    # A runtime is imported when the first one starts, which would be in each life anew.
    assert local.LocalRuntime
    for line in sys.stdin:
        sys.stdout.write(f"{_killed(*line.rsplit(maxsplit=1))}\n")
        sys.stdout.flush()
