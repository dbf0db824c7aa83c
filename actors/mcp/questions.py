"""What a server asks in the middle of a call, between the SDK's forms and the project's; everything bounded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from actors.domain.asking import (
    MAX_MESSAGE_BYTES,
    MAX_QUESTIONS,
    MAX_STATE_CHARS,
    MAX_URL_CHARS,
    Answer,
    Question,
    QuestionMode,
)
from actors.domain.forms import unfit
from actors.mcp.problems import hidden

if TYPE_CHECKING:
    from mcp_types import ElicitRequestParams, ElicitResult, InputRequiredResult, InputResponses

URL_REQUIRED: Final = -32042
"""Error of the protocol of 2025-11-25: the call can be made once somebody has visited pages."""

MAX_KEY_CHARS: Final = 128


class NoQuestion(Exception):
    """What the server asks cannot be put to anybody; the text says why."""


def question_of(key: str, params: ElicitRequestParams, secrets: Sequence[str]) -> Question:
    """One question.

    Raises:
        NoQuestion: it is no form that could be shown, no page that could be visited, or too large.
    """
    message = hidden(_short(params.message), secrets)
    if len(key) > MAX_KEY_CHARS:
        raise NoQuestion(f"its name has more than {MAX_KEY_CHARS} characters")
    if params.mode == "url":
        if len(params.url) > MAX_URL_CHARS or not _is_page(params.url):
            raise NoQuestion(f"its page is no http(s) address of at most {MAX_URL_CHARS} characters")
        return Question(key=key, mode=QuestionMode.url, message=message, url=params.url)
    why = unfit(params.requested_schema)
    if why is not None:
        raise NoQuestion(f"its form cannot be shown: {why}")
    return Question(key=key, mode=QuestionMode.form, message=message, form=params.requested_schema)


def _short(message: str) -> str:
    """The beginning of a message: characters take up to six bytes as JSON."""
    message = message[:MAX_MESSAGE_BYTES]
    while len(json.dumps(message, ensure_ascii=False).encode()) > MAX_MESSAGE_BYTES:
        message = message[: len(message) * 3 // 4]
    return message


def _is_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()


def questions_in(result: InputRequiredResult, secrets: Sequence[str]) -> tuple[Question, ...]:
    """The questions of an answer that requires input.

    Raises:
        NoQuestion: also when something else is asked than what the client offers.
    """
    from mcp_types import ElicitRequest

    if len(result.request_state or "") > MAX_STATE_CHARS:
        raise NoQuestion(f"what it wants to be kept has more than {MAX_STATE_CHARS} characters")
    found: list[Question] = []
    for key, request in (result.input_requests or {}).items():
        if not isinstance(request, ElicitRequest):
            raise NoQuestion(f"{request.method} is nothing that was offered to it")
        found.append(question_of(key, request.params, secrets))
    return _few(found)


def pages_in(data: Any, secrets: Sequence[str]) -> tuple[Question, ...]:
    """The pages that an error ``URL_REQUIRED`` names.

    Raises:
        NoQuestion: it names none, or not as it should.
    """
    from mcp_types import ElicitationRequiredErrorData
    from pydantic import ValidationError

    try:
        pages = ElicitationRequiredErrorData.model_validate(data).elicitations
    except ValidationError:
        raise NoQuestion("it does not say which pages are to be visited") from None
    return _few(question_of(str(nth), page, secrets) for nth, page in enumerate(pages))


def _few(questions: Iterable[Question]) -> tuple[Question, ...]:
    found = tuple(questions)
    if not 1 <= len(found) <= MAX_QUESTIONS:
        raise NoQuestion(f"it asks {len(found)} questions at once, and not 1 to {MAX_QUESTIONS}")
    return found


def result_of(answer: Answer) -> ElicitResult:
    """An answer as the SDK takes it."""
    from mcp_types import ElicitResult

    return ElicitResult.model_validate({"action": answer.action, "content": answer.content})


def responses_of(answers: Iterable[Answer]) -> InputResponses:
    """The answers of a round, by the server's names for its questions."""
    return {answer.key: result_of(answer) for answer in answers}
