"""What every route needs of a request: the manager, the idempotency key, and a way to act that outlives the client."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Path, Query, Request
from pydantic import AfterValidator, BaseModel
from starlette.responses import Response

from actors.checks import MAX_PAGE
from actors.domain.ids import MAX_COMMAND_ID, check_command_id, check_session_id
from actors.manager import SessionManager
from serve_app.schemas.base import SESSION_ID_SCHEMA

T = TypeVar("T")

_acting: set[asyncio.Task[Any]] = set()
"""Commands on their way; the loop itself holds tasks weakly."""


async def _manager(request: Request) -> SessionManager:
    return await request.app.state.manager_of()


def _command_id(
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Repeating a request with the same key gives the first outcome.",
            json_schema_extra={"minLength": 1, "maxLength": MAX_COMMAND_ID, "pattern": "^[!-~]([ -~]*[!-~])?$"},
        ),
    ] = None,
) -> str | None:
    return None if idempotency_key is None else check_command_id(idempotency_key)


Manager = Annotated[SessionManager, Depends(_manager)]
CommandId = Annotated[str | None, Depends(_command_id)]
SessionId = Annotated[
    str,
    Path(description="1 to 128 ASCII letters, digits, '-', '_' and '.'.", json_schema_extra=SESSION_ID_SCHEMA),
    AfterValidator(check_session_id),
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items of this page at most.")]
After = Annotated[str | None, Query(min_length=1, description="The `next` of the page before.")]


async def act(command: Coroutine[Any, Any, T]) -> T:
    """Carry out a command that goes on when the client hangs up: being cancelled only ends the waiting.

    A fresh context, since Ray cancels through context variables whatever a cancelled request has started.
    """
    task = asyncio.get_running_loop().create_task(command, context=contextvars.Context())
    _acting.add(task)
    task.add_done_callback(_done)
    return await asyncio.shield(task)


def _done(task: asyncio.Task[Any]) -> None:
    _acting.discard(task)
    if not task.cancelled():
        task.exception()


def answer(model: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A model as it is, without a second validation."""
    return Response(model.model_dump_json(), status_code=status, headers=headers, media_type="application/json")
