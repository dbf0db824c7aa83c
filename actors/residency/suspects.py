"""Who is taken for the cause when the process of several sessions dies, and who is not to be blamed for it.

A session that kills every process it is in is taken out of service by the supervisor. Those that shared a process with
it must not be: a suspect is given a process to itself, where it harms nobody, and shows whether it was the cause.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

ALONE_AFTER: Final = 2
"""Deaths of its process in the middle of its work after which a session is alone: any process may die once, and the
third activation without progress is the last."""

MAX_REMEMBERED: Final = 10_000
"""Sessions that are remembered; beyond that the oldest is forgotten, which costs another death."""


@dataclass(slots=True)
class _Record:
    deaths: int = 0
    named: str = ""
    failed: str = ""
    excused: bool = False


class Suspects:
    """What is remembered of sessions whose process died under them, until they come to rest."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._condemned: dict[str, tuple[str, str]] = {}

    def condemn(self, seat_id: str, journal_id: str, why: str) -> None:
        """A process is going to be killed for what one of its sessions seems to do."""
        self._condemned[seat_id] = (journal_id, why)

    def died(self, seat_id: str, working: Collection[str]) -> None:
        """A process died.

        Args:
            working: Its sessions that were at work, or on their way.
        """
        named, why = self._condemned.pop(seat_id, ("", ""))
        for journal_id in working:
            record = self._records.setdefault(journal_id, _Record())
            self._records.move_to_end(journal_id)
            if journal_id == named:
                record.named = why
            elif named:
                record.excused = True
            else:
                record.deaths += 1
        while len(self._records) > MAX_REMEMBERED:
            self._records.popitem(last=False)

    def failed(self, journal_id: str, why: str) -> None:
        """A session ended by itself, by a defect; its process, and others in it, had no part in that."""
        record = self._records.setdefault(journal_id, _Record())
        self._records.move_to_end(journal_id)
        record.failed = why
        while len(self._records) > MAX_REMEMBERED:
            self._records.popitem(last=False)

    def is_one(self, journal_id: str) -> bool:
        """Whether a session is to have a process to itself."""
        record = self._records.get(journal_id)
        return record is not None and (bool(record.named) or record.deaths >= ALONE_AFTER)

    def excuse(self, journal_id: str) -> bool:
        """Whether another session was the cause of the last death; asked once for each."""
        record = self._records.get(journal_id)
        if record is None or not record.excused:
            return False
        record.excused = False
        return True

    def why(self, journal_id: str) -> str:
        """What a session was taken to have done; "" when nothing is known."""
        record = self._records.get(journal_id)
        return record.named or record.failed if record is not None else ""

    def clear(self, journal_id: str) -> None:
        """A session has come to rest, or is no more."""
        self._records.pop(journal_id, None)
