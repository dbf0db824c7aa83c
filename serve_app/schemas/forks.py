"""Going on from an earlier place."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from actors.manager_forks import MAX_FORKS
from serve_app.schemas.base import Body, PromptText


class Fork(Body):
    """A fork of the session in the path: its id, the place it begins behind, and its name."""

    session_id: str
    at: int | None = Field(default=None, ge=1, le=2**53)
    name: str | None = Field(default=None, max_length=256)


class Forks(Body):
    """Forks of the session in the path, from one place, with a prompt each; a single text goes to ``n`` of them."""

    prompts: PromptText | tuple[PromptText, ...]
    n: int | None = Field(default=None, ge=1, le=MAX_FORKS)
    at: int | None = Field(default=None, ge=1, le=2**53)
    join: Literal["all", "first"] = "all"


class Rewind(Body):
    """The place to go back to."""

    to: int = Field(ge=1, le=2**53)
