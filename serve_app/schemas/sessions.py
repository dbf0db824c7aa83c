"""Creating, configuring and compacting sessions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from actors.domain.budgets import Budget
from actors.domain.compaction import Compaction
from actors.domain.llm import MAX_TOKENS
from actors.domain.security import SecurityConfig
from actors.domain.session import SessionConfig
from serve_app.schemas.base import Answer, Body, GivenConfig, GivenModel, ModelName, SessionIdText

MAX_BULK = 10_000
"""Sessions of one bulk create: one transaction that the store can hold."""


StoreName = Annotated[str, Field(max_length=32)]


class CreateSession(Body):
    """A new session. Without ``session_id`` the service makes one up.

    Attributes:
        store: Name of the store that it lives in; by ``config.storage_type`` when null, else the default one.
    """

    session_id: SessionIdText | None = None
    config: GivenConfig = SessionConfig()
    store: StoreName | None = None


class CreateSessions(Body):
    """Many new sessions of one configuration: all of them or none."""

    session_ids: tuple[SessionIdText, ...] = Field(min_length=1, max_length=MAX_BULK)
    config: GivenConfig = SessionConfig()
    store: StoreName | None = None


class CreatedSessions(Answer):
    """The sessions that exist now."""

    session_ids: tuple[str, ...]


class ConfigureSession(Body):
    """Changes of a session's configuration: only members that are given change.

    Attributes:
        model: A model as ``provider/model`` or with all its settings; a key in it is kept in memory only.
        system_prompt: None removes it.
        budget: What the session may take in its life, in place of the one before; one without bounds bounds nothing.
        security: What is withheld from here on; null: what the service withholds of all sessions.
    """

    name: str | None = Field(default=None, max_length=256)
    model: GivenModel | ModelName | None = None
    thinking: bool | None = None
    thinking_budget: int | None = Field(default=None, ge=1024, le=MAX_TOKENS)
    system_prompt: str | None = Field(default=None, max_length=100_000)
    budget: Budget | None = None
    security: SecurityConfig | None = None


class Titled(Answer):
    """The title that was found; None where there is none to be had. ``pending``: it is on its way."""

    title: str | None = None
    pending: bool = False


class Compacted(Answer):
    """What became of the context. ``pending``: the compaction goes on."""

    changed: bool
    pending: bool = False
    compaction: Compaction | None = None
