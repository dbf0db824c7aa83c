"""What bodies of requests and answers have in common: how strict they are, pages, ids, models as clients name them."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from actors.checks import MAX_PROMPT
from actors.domain.ids import MAX_SESSION_ID
from actors.domain.llm import LlmConfig
from actors.domain.session import SessionConfig

SESSION_ID_SCHEMA: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_SESSION_ID,
    "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
}
"""The rule for session ids, for readers of the description; ``actors.domain.ids`` enforces it."""

SessionIdText = Annotated[str, WithJsonSchema(SESSION_ID_SCHEMA)]


def _without_credential(model: LlmConfig) -> LlmConfig:
    if model.credential_id is not None:
        raise ValueError("credential_id is made by the service; give the key as api_key")
    return model


def _with_own_key(config: SessionConfig) -> SessionConfig:
    if config.model is not None:
        _without_credential(config.model)
    return config


GivenModel = Annotated[LlmConfig, AfterValidator(_without_credential)]
"""A model that a client names. Events tell the ids of others' keys, which are not for it to send anywhere."""

GivenConfig = Annotated[SessionConfig, AfterValidator(_with_own_key)]
"""A configuration with such a model."""

PromptText = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT, json_schema_extra={"pattern": r"\S"})]

ModelName = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[^/]+/.+$"})]

Item = TypeVar("Item")


class Body(BaseModel):
    """What a client sends: unknown members are refused, so that a typing error is not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Answer(BaseModel):
    """What the service sends."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Page(Answer, Generic[Item]):
    """A part of a list. ``next`` goes into ``after`` for the next part; None at the end."""

    items: tuple[Item, ...]
    next: str | None = None


class Listing(Page[Item], Generic[Item]):
    """A part of a list over all stores. ``unavailable``: stores that do not answer now, and are missing in it."""

    unavailable: tuple[str, ...] = ()


class Items(Answer, Generic[Item]):
    """A whole list."""

    items: tuple[Item, ...]


class Changed(Answer):
    """Whether the command changed anything."""

    changed: bool
