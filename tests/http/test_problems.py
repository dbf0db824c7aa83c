"""Errors in, problems out."""

from __future__ import annotations

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from actors import errors
from serve_app.problems import MEDIA_TYPE, ProblemResponse, problem_of


class _Shape(BaseModel):
    count: int
    secret: int


def _validation_error() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        _Shape.model_validate({"count": "many", "secret": "sk-very-secret"})
    return caught.value


def test_an_error_of_ours_keeps_status_sentence_code_and_data() -> None:
    problem = problem_of(errors.SessionNotFound("abc"), "/v1/sessions/abc")

    assert problem.model_dump(exclude_none=True) == {
        "type": "urn:greenroom:problem:session-not-found",
        "title": "Session not found",
        "status": 404,
        "detail": errors.SessionNotFound("abc").message,
        "instance": "/v1/sessions/abc",
        "code": "SessionNotFound",
        "retryable": False,
        "session_id": "abc",
    }


def test_lists_of_an_error_become_members() -> None:
    problem = problem_of(errors.SessionExists(["a", "b"]), "/")

    assert problem.model_dump()["session_ids"] == ("a", "b")


def test_own_data_never_replaces_a_standard_member() -> None:
    problem = problem_of(errors.ModelAuthFailed("openai", "wrong key"), "/")

    assert problem.detail == errors.ModelAuthFailed("openai", "wrong key").message
    assert problem.status == 502


def test_time_to_wait_becomes_a_whole_number_of_seconds_in_the_header() -> None:
    response = ProblemResponse(problem_of(errors.Overloaded("sessions", 1.2), "/"))

    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert response.headers["content-type"] == MEDIA_TYPE


def test_a_missing_token_asks_for_one() -> None:
    response = ProblemResponse(problem_of(errors.Unauthorized("no token"), "/"))

    assert response.headers["www-authenticate"] == "Bearer"


def test_an_unknown_exception_tells_its_class_and_nothing_else() -> None:
    problem = problem_of(RuntimeError("password=hunter2"), "/")

    assert problem.status == 500
    assert problem.code == "InternalError"
    assert "RuntimeError" in problem.detail
    assert "hunter2" not in problem.model_dump_json()


@pytest.mark.parametrize("of_a_request", [True, False])
def test_a_broken_body_names_the_fields_and_repeats_no_value(of_a_request: bool) -> None:
    error = _validation_error()

    problem = problem_of(RequestValidationError(error.errors()) if of_a_request else error, "/")

    assert problem.status == 422
    assert problem.code == "InvalidRequest"
    assert [each.loc for each in problem.errors or []] == ["count", "secret"]
    assert problem.detail.startswith("count: ")
    assert "sk-very-secret" not in problem.model_dump_json()


def test_a_broken_list_of_thousands_gives_a_small_problem() -> None:
    broken = [{"loc": ("body", index), "msg": "bad", "type": "x"} for index in range(5000)]

    problem = problem_of(RequestValidationError(broken), "/")

    assert len(problem.errors or []) == 20
    assert "4999 more" in problem.detail


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "RouteNotFound"), (405, "MethodNotAllowed"), (400, "HttpRefusal"), (503, "InternalError")],
)
def test_refusals_of_the_framework_are_problems_too(status: int, code: str) -> None:
    assert problem_of(HTTPException(status, "text of the framework"), "/").code == code
