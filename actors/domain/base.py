"""The base of every model: frozen, and closed to unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value: immutable, compared by content, refusing keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
