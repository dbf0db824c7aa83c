"""How the service is."""

from __future__ import annotations

from serve_app.schemas.base import Answer


class Health(Answer):
    """The process answers."""

    status: str = "ok"
    version: str


class StoreState(Answer):
    """One store and whether it works."""

    name: str
    ok: bool
    error: str | None = None


class Ready(Answer):
    """The service can take work."""

    status: str = "ready"
    stores: tuple[StoreState, ...]
