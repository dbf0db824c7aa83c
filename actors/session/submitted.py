"""What whoever gives a session a command is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.domain.commands import Reply
from actors.domain.contexts import Context
from actors.domain.turns import TurnEnd


@dataclass(frozen=True, slots=True)
class Submitted:
    """The outcome of a command; for inputs also the end of their turn, when it ended in time.

    Attributes:
        context: The whole conversation after that turn.
        waits: The turn waits for a decision.
    """

    reply: Reply
    end: TurnEnd | None = None
    context: Context = field(default_factory=Context)
    waits: bool = False
