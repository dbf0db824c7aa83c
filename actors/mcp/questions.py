"""What a server asks in the middle of a call, between the SDK's forms and the project's; everything bounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from actors.domain.asking import (
    MAX_QUESTIONS,
    MAX_SAMPLING_BYTES,
    MAX_STATE_CHARS,
    MAX_URL_CHARS,
    Answer,
    Asked,
    Question,
    QuestionMode,
)
from actors.domain.forms import unfit
from actors.domain.mcp import McpServerConfig
from actors.mcp.problems import NoQuestion, hidden, shortened
from actors.mcp.roots import roots_of
from actors.mcp.sampling import sampled, sampling_of, size_of
from actors.policy.security.redaction import MIN_KNOWN

if TYPE_CHECKING:
    from mcp_types import (
        CreateMessageResult,
        ElicitRequestParams,
        ElicitResult,
        ErrorData,
        InputRequiredResult,
        InputResponses,
    )

URL_REQUIRED: Final = -32042
"""Error of the protocol of 2025-11-25: the call can be made once somebody has visited pages."""

MAX_KEY_CHARS: Final = 128


def question_of(key: str, params: ElicitRequestParams, secrets: Sequence[str]) -> Question:
    """One question.

    Raises:
        NoQuestion: it is no form that could be shown, no page that could be visited, or too large.
    """
    message = hidden(shortened(params.message), secrets)
    if len(key) > MAX_KEY_CHARS:
        raise NoQuestion(f"its name has more than {MAX_KEY_CHARS} characters")
    if params.mode == "url":
        if len(params.url) > MAX_URL_CHARS or not _is_page(params.url):
            raise NoQuestion(f"its page is no plain http(s) address of at most {MAX_URL_CHARS} characters")
        if any(len(secret) >= MIN_KNOWN and secret in params.url for secret in secrets):
            raise NoQuestion("the address of its page holds a secret of the server's")
        return Question(key=key, mode=QuestionMode.url, message=message, url=params.url)
    why = unfit(params.requested_schema)
    if why is not None:
        raise NoQuestion(f"its form cannot be shown: {why}")
    return Question(key=key, mode=QuestionMode.form, message=message, form=params.requested_schema)


def _is_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # Who reads https://bank.example@evil.example takes the one for the other.
    plain = parts.username is None and parts.password is None and "\\" not in url
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and url.isprintable()


def asked_in(result: InputRequiredResult, config: McpServerConfig, secrets: Sequence[str]) -> Asked:
    """What an answer asks that requires input. Without questions there is nobody to be asked but its host.

    Raises:
        NoQuestion: also when something else is asked than what the client offers.
    """
    from mcp_types import CreateMessageRequest, ElicitRequest, ListRootsRequest

    state = result.request_state
    if len(state or "") > MAX_STATE_CHARS:
        raise NoQuestion(f"what it wants to be kept has more than {MAX_STATE_CHARS} characters")
    questions: list[Question] = []
    roots: list[str] = []
    for key, request in (result.input_requests or {}).items():
        if len(key) > MAX_KEY_CHARS:
            raise NoQuestion(f"the name of a question has more than {MAX_KEY_CHARS} characters")
        match request:
            case ElicitRequest():
                questions.append(question_of(key, request.params, secrets))
            case CreateMessageRequest():
                questions.append(sampling_of(key, request.params, config, secrets))
            case ListRootsRequest() if config.roots:
                roots.append(key)
            case _:
                raise NoQuestion(f"{request.method} is nothing that was offered to it")
    return Asked(
        questions=few(questions) if questions else (),
        held=False,
        state=state,
        roots=tuple(roots[:MAX_QUESTIONS]),
        answer_within_s=config.answer_within_s,
    )


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
    return few(question_of(str(nth), page, secrets) for nth, page in enumerate(pages))


def few(questions: Iterable[Question]) -> tuple[Question, ...]:
    """The questions of a round.

    Raises:
        NoQuestion: there are none, too many, or more to say than can be kept.
    """
    found = tuple(questions)
    if not 1 <= len(found) <= MAX_QUESTIONS:
        raise NoQuestion(f"it asks {len(found)} questions at once, and not 1 to {MAX_QUESTIONS}")
    if sum(size_of(one.sampling) for one in found if one.sampling is not None) > MAX_SAMPLING_BYTES:
        raise NoQuestion(f"what it asks models at once has more than {MAX_SAMPLING_BYTES} bytes")
    return found


def result_of(answer: Answer) -> ElicitResult | CreateMessageResult | ErrorData:
    """An answer as the SDK takes it."""
    from mcp_types import ElicitResult

    if answer.mode is QuestionMode.sampling:
        return sampled(answer)
    return ElicitResult.model_validate({"action": answer.action, "content": answer.content})


def responses_of(answers: Iterable[Answer], roots: Iterable[str], workspace: str) -> InputResponses | None:
    """The answers of a round, by the server's names for its questions; None where it has asked nothing."""
    found: dict[str, Any] = {answer.key: result_of(answer) for answer in answers}
    return found | {key: roots_of(workspace) for key in roots} or None
