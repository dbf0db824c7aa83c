"""Planning that stands a defect: what one happening leads to may fail, and the session goes on with the others.

Between the driver, which would end with the first exception, and ``actors.session.plan``. Pure but for the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from actors.domain.journal import AppendPart
from actors.errors import InternalError
from actors.session.plan import CommandGiven, Happening, Plan, plan
from actors.session.state import State
from actors.session.surroundings import Surroundings

log = logging.getLogger(__name__)

Planned = tuple[Plan, AppendPart | None]
"""What follows, and its append when there is something to write."""


def planned(
    state: State,
    happenings: Sequence[Happening],
    around: Surroundings,
    part_of: Callable[[Plan], AppendPart],
    *,
    now: datetime,
    epoch: int,
) -> Planned:
    """What to append for these happenings, as it is written down.

    Nothing has happened yet when that fails. So it is tried with the first of them alone, and the others come next; a
    command that fails even so is refused with ``InternalError``, like one that nobody could carry out.

    Raises:
        Exception: The session cannot go on, whatever it is told.
    """
    try:
        made = plan(state, happenings, around, now=now, epoch=epoch)
        return made, part_of(made) if made.records else None
    except Exception as failure:
        if len(happenings) > 1:
            made, part = planned(state, happenings[:1], around, part_of, now=now, epoch=epoch)
            made.left = (*made.left, *happenings[1:])
            return made, part
        if not happenings or not isinstance(happenings[0], CommandGiven):
            raise
        command = happenings[0].command
        log.exception(
            "session %s: command %s is refused, it failed in its own code", state.session_id, type(command).__name__
        )
        made, part = planned(state, (), around, part_of, now=now, epoch=epoch)
        made.replies.append((command, InternalError(type(failure).__name__)))
        return made, part
