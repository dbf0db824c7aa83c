"""The FastAPI application: HTTP in front of a ``SessionManager``, wherever that manager comes from. Knows no Ray."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import SecretStr, ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from actors.errors import GreenroomError
from actors.manager import SessionManager
from serve_app import openapi, routes
from serve_app.auth import Keyring
from serve_app.middleware import Gate
from serve_app.problems import answer_problem
from serve_app.version import version

_DESCRIPTION = "Sessions of language model agents: long-lived, durable, addressed by id. Errors are RFC 9457 problems."

_HANDLED: tuple[type[Exception], ...] = (GreenroomError, RequestValidationError, ValidationError, HTTPException)
"""What becomes a problem inside the application; everything else falls through to the gate, which logs it."""


def create_app(
    manager_of: Callable[[], Awaitable[SessionManager]], api_keys: Iterable[SecretStr] | Keyring = ()
) -> FastAPI:
    """Build the application.

    Args:
        manager_of: Gives the manager, at once or when it is connected; called for every request.
        api_keys: Accepted Bearer tokens; without any, only this machine and no foreign page may ask.
    """
    keyring = api_keys if isinstance(api_keys, Keyring) else Keyring.of(api_keys)
    app = FastAPI(
        title="Greenroom",
        version=version(),
        description=_DESCRIPTION,
        docs_url=None,  # Both pages load scripts from other servers.
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        middleware=[Middleware(Gate, keyring=keyring)],
        exception_handlers=dict.fromkeys(_HANDLED, answer_problem),
        redirect_slashes=False,
    )
    app.state.manager_of = manager_of
    routes.include_all(app)

    async def refuse_method(request: Request, error: Exception) -> Response:
        response = await answer_problem(request, error)
        if allowed := openapi.allowed_methods(app, request.url.path):
            response.headers["Allow"] = allowed
        return response

    app.add_exception_handler(405, refuse_method)

    def describe() -> dict[str, Any]:
        return openapi.describe(app, with_keys=bool(keyring))

    app.openapi = describe
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
