"""How many session actors there should be: pure arithmetic over what is known of them.

A process takes 0.7 s to start and 60 MB while it waits, so they are started a little ahead of demand and ended again
when nobody came for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STARTS_AT_ONCE = 2
"""Processes that are started at a time: more compete for the cores with the sessions that run, and with each other."""


@dataclass(frozen=True, slots=True)
class SeatLimits:
    """Bounds of a pool of seats.

    Attributes:
        least: Seats that are kept even when nobody uses them.
        most: Seats at a time, one that is being replaced not counted.
        per_seat: Sessions of one seat.
        spare: Places for sessions that are kept free while sessions are being activated.
        starts: Seats that start at the same time.
    """

    least: int = 0
    most: int = 16
    per_seat: int = 1
    spare: int = 0
    starts: int = STARTS_AT_ONCE


@dataclass(frozen=True, slots=True)
class Crowd:
    """How full the seats are.

    Attributes:
        seats: All of them, the retiring ones too.
        retiring: Those that take no further session.
        blank: Those without any session, retiring ones left out.
        free: Places for sessions in seats that take some.
        starting: Seats on their way.
        waiting: Sessions that wait for a place.
        alone: Those among them that are to have a seat to themselves.
        rising: Sessions were activated a short while ago.
    """

    seats: int = 0
    retiring: int = 0
    blank: int = 0
    free: int = 0
    starting: int = 0
    waiting: int = 0
    alone: int = 0
    rising: bool = False


def to_start(crowd: Crowd, limits: SeatLimits) -> int:
    """How many more seats to start now.

    A seat that one session has to itself takes nobody else, so one of them at a time comes on top of ``most``: what
    fills all seats must not keep a suspect away from where it does no harm.
    """
    ahead = limits.spare if crowd.rising else 0
    missing = crowd.waiting + ahead - crowd.free - crowd.starting * limits.per_seat
    usable = crowd.seats - crowd.retiring + crowd.starting
    own = crowd.alone - crowd.blank - crowd.starting
    wanted = max(-(-missing // limits.per_seat), limits.least - usable, own)
    room = max(limits.most - usable, 1 - crowd.starting - crowd.retiring if own > 0 else 0)
    return max(min(wanted, room, limits.starts - crowd.starting), 0)


def to_end(crowd: Crowd, limits: SeatLimits) -> int:
    """How many blank seats are too many after a quiet time."""
    if crowd.rising or crowd.waiting or crowd.starting:
        return 0
    return max(min(crowd.blank, crowd.seats - crowd.retiring - limits.least), 0)


@dataclass(frozen=True, slots=True)
class NodeRoom:
    """A node of the cluster, and how many session actors it has memory for."""

    node_id: str
    room: int


def node_for(nodes: Sequence[NodeRoom], seats: Mapping[str, int]) -> str | None:
    """Where the next session actor goes: where they fill the smallest part of the room.

    So a lost node takes as few sessions with it as can be. None when no node has room, which leaves the choice, and the
    wait, to the scheduler.
    """
    with_room = [node for node in nodes if seats.get(node.node_id, 0) < node.room]
    if not with_room:
        return None
    return min(with_room, key=lambda node: (seats.get(node.node_id, 0) / node.room, node.node_id)).node_id
