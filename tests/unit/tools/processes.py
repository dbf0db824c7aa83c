"""Waiting for processes by their handles: no polling, no sleeping."""

from __future__ import annotations

import os
import select
from pathlib import Path

LONGEST_WAIT_MS = 20_000
"""Far beyond the reaper's grace; a process that is still there then was forgotten."""


def is_gone(pid: int) -> bool:
    """Wait until a process has ended; False when it has not after the longest wait."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    try:
        return bool(poller.poll(LONGEST_WAIT_MS))
    finally:
        os.close(handle)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
