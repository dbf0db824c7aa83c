"""How the service is, and what it is told."""

from __future__ import annotations

from actors.domain.session import StorageType
from serve_app.schemas.base import Answer, Body, GivenModel, ModelName


class DefaultModel(Body):
    """The model of sessions that name none: ``provider/model``, or with all its settings; null for none."""

    model: GivenModel | ModelName | None


class Health(Answer):
    """The process answers."""

    status: str = "ok"
    version: str


class StoreState(Answer):
    """One store and whether it works."""

    name: str
    kind: StorageType
    ok: bool
    error: str | None = None


class Ready(Answer):
    """The service can take work: its default store works. Sessions in others that do not have to wait."""

    status: str = "ready"
    stores: tuple[StoreState, ...]
