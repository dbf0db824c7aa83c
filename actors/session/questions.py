"""The questions of a tool call as they stand in a session's state. Plain values."""

from __future__ import annotations

from actors.domain.asking import Answer, Question
from actors.domain.base import Frozen
from actors.domain.calls import HostRef
from actors.session.failure import Failure


class SamplingAttempt(Frozen):
    """The model call that answers a question, over its attempts: the last one has failed, unless it is under way."""

    call_id: str
    attempts: int = 1
    failures: int = 0
    hosts_lost: int = 0
    failure: Failure | None = None


class Asking(Frozen):
    """The open questions of a call, and what was said to them so far.

    Attributes:
        host: Who asked.
        state: Digest of the blob with the server's state.
        agreed: Questions for a model that somebody has agreed to.
        attempt: What is known of the model call for the question that is open now.
        roots: Questions that the host answers by itself.
    """

    questions: tuple[Question, ...]
    held: bool
    host: HostRef
    state: str | None = None
    timeout_ms: int
    answers: tuple[Answer, ...] = ()
    agreed: tuple[str, ...] = ()
    attempt: SamplingAttempt | None = None
    roots: tuple[str, ...] = ()

    @property
    def for_model(self) -> Question | None:
        """The first question that a model is to answer now."""
        closed = {answer.key for answer in self.answers}
        return next((one for one in self.questions if one.key not in closed and self.is_for_model(one)), None)

    def is_for_model(self, question: Question) -> bool:
        """Whether a model is to answer it, and nobody is asked any more before that."""
        wanted = question.sampling
        return wanted is not None and (not wanted.ask or question.key in self.agreed)

    @property
    def answered(self) -> bool:
        """Whether nothing is open any more."""
        return len(self.answers) == len(self.questions)


def after_loss(asking: Asking | None) -> Asking | None:
    """What another attempt can go on with: a call that its host held open is gone with that."""
    return asking if asking is not None and not asking.held else None
