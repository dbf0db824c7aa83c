"""Children of a session: how one is born, and what it tells its parent when its task is done."""

from __future__ import annotations

from enum import StrEnum

from actors.domain.base import Frozen
from actors.domain.messages import BlobTextBlock, Message, TextPart, TokenUsage
from actors.domain.session import SessionConfig

MAX_CHILDREN = 1000
"""Children that are born at once: one append, which holds the store's writer for some tens of milliseconds."""

MAX_SPAWN_BYTES = 16 * 1024 * 1024
"""Tasks and configurations of one spawn, with what the children inherit: all of it is one append, which has to fit into
one frame of the data plane."""


class Birth(Frozen):
    """What a child is born with: its configuration, and its task, which is its first input."""

    config: SessionConfig = SessionConfig()
    task: Message | None = None


class NewChild(Birth):
    """A child that is to be born. ``child_journal_id`` is chosen by whoever asks for it."""

    child_id: str
    child_journal_id: str


class ChildSpec(Frozen):
    """A child to be started with a task.

    Attributes:
        prompt: The task: a text, or a message of role user.
        session_id: Its id; made up when None.
        config: What it leaves open is taken from the parent.
    """

    prompt: str | Message
    session_id: str | None = None
    config: SessionConfig = SessionConfig()


class Signal(StrEnum):
    """What a parent tells a child that works for it."""

    cancel = "cancel"
    pause = "pause"
    resume = "resume"


class ChildOutcome(StrEnum):
    """How a child's task ended."""

    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


class ChildReport(Frozen):
    """What became of a child's task. A failure is a value: whoever waits is always told something.

    Attributes:
        parts: The whole text, where some of it is kept in the store; ``text`` is empty then.
        code: Why there is no answer: the turn's own code, or ``withdrawn``, ``crash_loop``, ``destroyed``.
        message: The same as a sentence.
        usage: Tokens that the child has used in its life so far.
        cost_usd: Their price as a decimal string.
    """

    child_id: str
    child_journal_id: str
    outcome: ChildOutcome
    text: str = ""
    parts: tuple[TextPart, ...] = ()
    code: str = ""
    message: str = ""
    usage: TokenUsage = TokenUsage()
    cost_usd: str = "0"

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digests of what the store keeps of the text."""
        return tuple(part.digest for part in self.parts if isinstance(part, BlobTextBlock))


class ChildResult(Frozen):
    """How a child with a task stands, for whoever waits for it.

    Attributes:
        outcome: None while it works on its task.
        text: Its answer, however long.
        code: Why there is no answer: the turn's own code, or ``withdrawn``, ``crash_loop``, ``destroyed``.
        error: The same as a sentence.
    """

    child_id: str
    outcome: ChildOutcome | None = None
    text: str = ""
    code: str = ""
    error: str = ""
    usage: TokenUsage = TokenUsage()
    cost_usd: str = "0"
