"""Going on from an earlier place."""

from __future__ import annotations

from pydantic import Field

from serve_app.schemas.base import Body


class Fork(Body):
    """A fork of the session in the path: its id, the place it begins behind, and its name."""

    session_id: str
    at: int | None = Field(default=None, ge=1, le=2**53)
    name: str | None = Field(default=None, max_length=256)


class Rewind(Body):
    """The place to go back to."""

    to: int = Field(ge=1, le=2**53)
