"""The questions of a tool call as they stand in a session's state. Plain values."""

from __future__ import annotations

from actors.domain.asking import Answer, Question
from actors.domain.base import Frozen
from actors.domain.calls import HostRef


class Asking(Frozen):
    """The open questions of a call, and what was said to them so far.

    Attributes:
        host: Who asked.
        state: Digest of the blob with the server's state.
    """

    questions: tuple[Question, ...]
    held: bool
    host: HostRef
    state: str | None = None
    timeout_ms: int
    answers: tuple[Answer, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether nothing is open any more."""
        return len(self.answers) == len(self.questions)


def after_loss(asking: Asking | None) -> Asking | None:
    """What another attempt can go on with: a call that its host held open is gone with that."""
    return asking if asking is not None and not asking.held else None
