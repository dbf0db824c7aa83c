"""When a session actor's memory has grown too far, and which of its sessions is taken for the cause: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Bounds of the private memory of one session actor.

    Attributes:
        soft_bytes: Beyond this it is replaced as soon as its sessions have come to rest; 0: never.
        hard_bytes: Beyond this it is killed; 0: never.
    """

    soft_bytes: int = 0
    hard_bytes: int = 0


class Weight(Enum):
    """What is to be done about a session actor."""

    fine = "fine"
    heavy = "heavy"
    too_heavy = "too heavy"


def weighed(private_bytes: int, limits: MemoryLimits) -> Weight:
    """How a session actor's private memory compares with its bounds."""
    if 0 < limits.hard_bytes < private_bytes:
        return Weight.too_heavy
    if 0 < limits.soft_bytes < private_bytes:
        return Weight.heavy
    return Weight.fine


def cause(weights: Mapping[str, int], busy: Collection[str]) -> str | None:
    """The session that most likely made its process grow: of those at work, else of all, the one that holds most.

    It may be the wrong one. Then the process that is left grows on, and another one is named: each is alone in its
    process from then on, so that the right one is found before anybody else has lost more than time.

    Args:
        weights: What each session of the process holds, by journal id.
        busy: Those that are at work.
    """
    likely = [one for one in weights if one in busy] or list(weights)
    return max(likely, key=lambda one: (weights[one], one), default=None)
