"""Calls that ask: what a tool wants to know before it goes on, the answers, and how the call is taken up again.

A tool's host ends the attempt in which it asked. The answers go with the next attempt of the same call, so every round
of questions is an attempt like any: recorded before it runs, run once, in doubt when it is lost.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from pydantic import Field

from actors.domain.base import Frozen
from actors.domain.messages import Message

MAX_ROUNDS: Final = 10
"""How often one call may ask; the SDK's clients stop there too."""

MAX_QUESTIONS: Final = 8
"""Questions of one round: each is a record, and somebody has to read it."""

MAX_MESSAGE_BYTES: Final = 8 * 1024
"""Of one question, as JSON: with its form it takes 24 KiB, and all of a round fit into one record."""

MAX_URL_CHARS: Final = 2048
MAX_FORM_CHARS: Final = 16 * 1024
"""Of one question, as JSON in ASCII."""

MAX_SAMPLING_BYTES: Final = 48 * 1024
"""Of what a round wants models to answer, as JSON: beside other questions it fits into one record."""

MAX_SAMPLED_BYTES: Final = 24 * 1024
"""Of a model's answer to a tool: some 6,000 tokens. It is in the state until the call goes on."""

MAX_STATE_CHARS: Final = 256 * 1024
"""What a server may have kept for it until it is answered: more belongs into its own store."""

MAX_CONTENT_CHARS: Final = 64 * 1024
"""A filled form."""


class QuestionMode(StrEnum):
    """How it is answered: by values for a form, by consent to visit a page, where the rest happens, or by a model."""

    form = "form"
    url = "url"
    sampling = "sampling"
    """By a model, which is told what the tool's server says, and nothing of the session's."""


class Sampling(Frozen):
    """What a model is to answer.

    Attributes:
        messages: The conversation, texts only.
        max_tokens: Longest answer: what the server wants, within what its configuration allows.
        hints: Names of models that the server would like. For people: the session's model answers.
        ask: Somebody has to agree first.
        limit: How many answers of a model one call may ask for.
    """

    messages: tuple[Message, ...] = Field(min_length=1)
    system: str | None = None
    max_tokens: int = Field(gt=0)
    temperature: float | None = None
    hints: tuple[str, ...] = ()
    ask: bool = True
    limit: int = 1


class SamplingOf(Frozen):
    """Whose question a model answers: that of the call at ``index`` of the round, by the server's name for it."""

    index: int
    key: str


class Question(Frozen):
    """One question.

    Attributes:
        key: The server's name for it.
        form: JSON Schema of a flat object, of a question that a form answers.
        url: The page to visit.
        sampling: What a model is to answer.
    """

    key: str
    mode: QuestionMode
    message: str
    form: dict[str, Any] | None = None
    url: str | None = None
    sampling: Sampling | None = Field(default=None, exclude_if=lambda value: value is None)


class Asked(Frozen):
    """What a tool asks, as its host tells it.

    Attributes:
        held: The host keeps the call open meanwhile: only it can go on with it.
        state: What the server wants back with the answers; opaque, and nobody's to read.
        answer_within_s: How long it waits, in seconds.
        roots: Names of questions for the roots, which its host answers by itself.
    """

    questions: tuple[Question, ...] = Field(max_length=MAX_QUESTIONS)
    roots: tuple[str, ...] = ()
    held: bool
    state: str | None = Field(default=None, max_length=MAX_STATE_CHARS, repr=False)
    answer_within_s: float


class Answer(Frozen):
    """What somebody said to one question: ``accept`` (a form with its content), ``decline`` or ``cancel``.

    Attributes:
        mode: Of the question. The content of a model's answer is ``text``, ``model`` and ``stop_reason``; where there
            is none, the ``reason``.
    """

    key: str
    action: str
    content: dict[str, Any] | None = None
    mode: QuestionMode = QuestionMode.form


class Resume(Frozen):
    """How a call is taken up again.

    Attributes:
        state: What the server wanted back; ``state_digest`` names it where it is not filled in yet.
        abandon: Nobody wants its result any more: it is to be ended.
        roots: Questions for the roots that came with those that are answered.
    """

    held: bool
    answers: tuple[Answer, ...] = ()
    roots: tuple[str, ...] = ()
    state_digest: str | None = None
    state: str | None = Field(default=None, repr=False)
    abandon: bool = False
