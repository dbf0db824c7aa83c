"""What security providers have to look through before a command is carried out. Pure.

They are asked before the core sees the command, and what they found goes with it: the core knows the answer or none.
"""

from __future__ import annotations

from actors.domain import commands as c
from actors.domain.security import SecurityConfig
from actors.errors import GreenroomError
from actors.policy.security.guard import Collector
from actors.session.decide import decide
from actors.session.state import State
from actors.session.surroundings import Surroundings
from actors.session.withholding import kept


def can_wait(command: c.Command) -> bool:
    """Whether a command is refused while providers do not answer; of all others the words are withheld.

    What brings something in can be given again later. A turn can be cancelled, a question decided, an answer of a child
    taken at any time.
    """
    return isinstance(command, c.Send | c.AddMessage | c.SetTasks | c.SpawnChildren | c.CompleteTask)


def to_inspect(state: State, around: Surroundings, command: c.Command) -> tuple[SecurityConfig, set[str]] | None:
    """The texts that the command would write down, and who has to look through them; None when nobody has to.

    Nor is anybody asked about what is refused as things are now.
    """
    config = state.config.security_in_force(around.security)
    if config is None or not config.providers:
        return None
    collector = Collector(config)
    try:
        for draft in decide(state, command):
            kept(collector, draft)
    except GreenroomError:
        return None
    return config, collector.texts
