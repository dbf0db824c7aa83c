"""Errors as RFC 9457 problems: the one place where an exception becomes what an HTTP client sees."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from actors.errors import GreenroomError, InternalError, InvalidRequest

MEDIA_TYPE = "application/problem+json"

_MAX_FIELD_ERRORS = 20
"""Field errors listed in one problem: a broken list of thousands must not make a large answer."""

_STANDARD = frozenset({"type", "title", "status", "detail", "instance", "code", "retryable", "retry_after_s"})


class HttpRefusal(GreenroomError):
    """A request that never reached an operation. The only argument is the sentence."""

    status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class RouteNotFound(HttpRefusal):
    """Nothing lives at this path."""

    status = 404


class TurnNotFound(HttpRefusal):
    """The session has no such turn."""

    status = 404


class MethodNotAllowed(HttpRefusal):
    """The path exists, the method does not."""

    status = 405


class ForeignOrigin(HttpRefusal):
    """A Host or Origin header of another site, while no API key is configured."""

    status = 403


class BodyTooLarge(HttpRefusal):
    """The body is longer than the service takes."""

    status = 413


class NotJson(HttpRefusal):
    """A body of another media type."""

    status = 415


class FieldError(BaseModel):
    """What is wrong with one field; ``loc`` is its path. The value itself is never repeated."""

    loc: str
    message: str


class Problem(BaseModel):
    """What went wrong and what to do, as RFC 9457 says; further members carry the error's own data.

    Attributes:
        type: ``urn:greenroom:problem:`` and the code in kebab case; stable.
        code: Name of the error's class, the same as in Python.
        retryable: Whether the same request may succeed later, unchanged.
        errors: The fields that were refused, when it was the shape of the request.
    """

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    instance: str
    code: str
    retryable: bool = False
    retry_after_s: float | None = None
    errors: list[FieldError] | None = None


def problem_of(error: BaseException, instance: str) -> Problem:
    """The problem that describes an error; what is not of our tree tells the name of its class and nothing else."""
    known = _known(error)
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", known.code).lower()
    status = known.status if known.status >= HTTPStatus.BAD_REQUEST else HTTPStatus.CONFLICT
    return Problem(
        type=f"urn:greenroom:problem:{words.replace(' ', '-')}",
        title=words.capitalize(),
        status=status,
        detail=known.message,
        instance=instance,
        code=known.code,
        retryable=known.retryable,
        retry_after_s=known.retry_after_s,
        errors=_field_errors(error),
        **_own_data(known),
    )


def _known(error: BaseException) -> GreenroomError:
    match error:
        case GreenroomError():
            return error
        case RequestValidationError() | ValidationError():
            return InvalidRequest(_sentence(error.errors()))
        case HTTPException():
            return _of_http(error)
        case _:
            return InternalError(type(error).__name__)


def _of_http(error: HTTPException) -> GreenroomError:
    match error.status_code:
        case 404:
            return RouteNotFound("Nothing lives at this path. /openapi.json lists what there is.")
        case 405:
            return MethodNotAllowed("This path does not know this method. /openapi.json lists what there is.")
        case code if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return InternalError(f"HTTP {code}")
        case _:
            return HttpRefusal("The request could not be read. Send a JSON body in UTF-8.")


def _own_data(error: GreenroomError) -> Mapping[str, Any]:
    plain = (str, int, float, tuple, list)
    return {
        name: value
        for name, value in vars(error).items()
        if name not in _STANDARD and not name.startswith("_") and isinstance(value, plain)
    }


def _sentence(errors: Sequence[Any]) -> str:
    if not errors:
        return "The request is not valid."
    first = _field_error(errors[0])
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{first.loc}: {first.message}{more}."


def _field_errors(error: BaseException) -> list[FieldError] | None:
    if not isinstance(error, RequestValidationError | ValidationError):
        return None
    return [_field_error(each) for each in error.errors()[:_MAX_FIELD_ERRORS]]


def _field_error(error: Mapping[str, Any]) -> FieldError:
    # Parts such as "function-after[...]" are names of validators and not of members.
    loc = ".".join(str(part) for part in error["loc"] if "[" not in str(part)) or "body"
    return FieldError(loc=loc, message=str(error["msg"]).removeprefix("Value error, ").rstrip("."))


class ProblemResponse(Response):
    """A problem on its way out, with the headers that belong to its status."""

    media_type = MEDIA_TYPE
    _BY_STATUS: ClassVar[Mapping[int, Mapping[str, str]]] = {401: {"WWW-Authenticate": "Bearer"}}

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        merged = {**(headers or {}), **self._BY_STATUS.get(problem.status, {})}
        if problem.retry_after_s is not None:
            merged["Retry-After"] = str(max(1, math.ceil(problem.retry_after_s)))
        # Escaped to ASCII: what a client sent, and is told about, need not be valid Unicode.
        body = json.dumps(problem.model_dump(exclude_none=True), separators=(",", ":"))
        super().__init__(body, status_code=problem.status, headers=merged)


async def answer_problem(request: Request, error: Exception) -> Response:
    """The application's handler of every kind of exception it knows."""
    headers = error.headers if isinstance(error, HTTPException) else None
    return ProblemResponse(problem_of(error, request.url.path), headers)
