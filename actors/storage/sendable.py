"""What of a session's stored outcomes is sent at once: a frame has a bound, and outcomes are large now and then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from actors.domain.journal import StoredResult

MAX_BYTES: Final = 24 * 1024 * 1024
"""Outcomes of one answer together: less than half of a frame, which may carry a page of records beside them."""


def sendable(results: Iterable[StoredResult], call_id: str | None = None) -> tuple[StoredResult, ...]:
    """The results, of one call or all; outcomes beyond the bound are left out, to be asked for call by call."""
    left = MAX_BYTES
    found: list[StoredResult] = []
    for one in results:
        if call_id not in (None, one.call_id):
            continue
        size = len(one.outcome or b"")
        # The first one always goes: it is what somebody wants who names the call.
        goes = size <= left or left == MAX_BYTES
        found.append(one if goes else replace(one, outcome=None))
        left -= size if goes else 0
    return tuple(found)
