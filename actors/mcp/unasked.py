"""What a server may say unasked: notifications, requests of its own, noise. Pure.

What is more than anybody could use is a flood: each message would become a task, and answers would be lost among them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

UNASKED_PER_S: Final = 1000
"""Messages a second that nobody asked for, in the long run: progress that people can follow is a few of them."""

UNASKED_AT_ONCE: Final = 5000
"""Messages that may come together: some tens of megabytes, while they are handled."""

UNANSWERED: Final = 1000
"""Requests of the server that wait for an answer, or for the server to read it."""


class Flood(Exception):
    """A server says too much; the text says what of."""


class Unasked:
    """What one server has said unasked.

    Args:
        now: The time at the start, in seconds.
    """

    def __init__(self, now: float) -> None:
        self._room = float(UNASKED_AT_ONCE)
        self._at = now
        self._open: list[str] = []

    def heard(self, now: float, *, request: str | int | None = None) -> None:
        """It has said something; a request, which has an id, wants an answer.

        Raises:
            Flood: it is of no use any more.
        """
        self._room = min(self._room + (now - self._at) * UNASKED_PER_S, UNASKED_AT_ONCE) - 1
        self._at = now
        if request is not None:
            self._open.append(str(request))
        if self._room < 0:
            raise Flood(f"it floods: it says more than {UNASKED_PER_S} things a second that nobody asked for")
        if len(self._open) > UNANSWERED:
            raise Flood(f"it asks and does not listen: {UNANSWERED} of its requests wait for it to read an answer")

    def settled(self, request: str | int | None) -> None:
        """A request of its own was answered, or it has taken it back: then nobody answers it any more."""
        with suppress(ValueError):
            self._open.remove(str(request))
