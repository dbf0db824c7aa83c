"""The boundary between moments and the integers that databases and the wire keep: microseconds since 1970, UTC.

A datetime has microseconds, so an integer of them is exact, sorts as time does, and means the same everywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """The microseconds since 1970 of a moment that knows its time zone."""
    return (moment - _EPOCH) // _MICROSECOND


class NoMoment(ValueError):
    """The number is none that ``micros`` gives."""


def moment(number: int) -> datetime:
    """The moment, in UTC, that ``micros`` was given.

    Raises:
        NoMoment: It is in no year that a datetime can have.
    """
    try:
        return _EPOCH + timedelta(microseconds=number)
    except (OverflowError, TypeError):
        raise NoMoment(str(number)) from None


def maybe_micros(moment: datetime | None) -> int | None:
    """As ``micros``; None stays None."""
    return None if moment is None else micros(moment)


def maybe_moment(number: int | None) -> datetime | None:
    """As ``moment``; None stays None."""
    return None if number is None else moment(number)
