"""Session files of A3S Code as documents of ours. Pure.

Such a file is one JSON object: the whole session as it was, without its history. Its messages become the journal's; its
totals are taken over by one record, since no call tells them. Its own keys, tools, queue and hooks are not in it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from actors.domain import records as r
from actors.domain.archive import SessionArchive, portable
from actors.domain.base import Frozen
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, TokenUsage
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy
from actors.domain.records import Draft
from actors.domain.session import SessionConfig, SessionState
from actors.domain.tasks import TaskList
from actors.session.projection import small

ORIGIN: Final = "a3s-code"

MAX_TIME: Final = 253_402_300_799
"""Seconds since 1970 at the end of the year 9999, the last that a timestamp can name."""


class _Loose(Frozen, extra="ignore"):
    """Files of other versions have further fields; what is not understood is not taken over."""

    @model_validator(mode="before")
    @classmethod
    def _without_none(cls, value: Any) -> Any:
        """An absent value and none are the same there."""
        return {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value


def _words(value: Any) -> Any:
    """``AutoApprove`` and ``auto-approve`` are ``auto_approve`` here."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value).replace("-", "_").lower() if isinstance(value, str) else value


class _Confirmation(_Loose):
    enabled: bool = False
    default_timeout_ms: int = 30_000
    timeout_action: str = "reject"
    yolo_lanes: tuple[str, ...] = ()

    def ours(self) -> ConfirmationPolicy:
        lanes = [_words(lane) for lane in self.yolo_lanes]
        values = self.model_dump() | {"timeout_action": _words(self.timeout_action), "yolo_lanes": lanes}
        return ConfirmationPolicy.model_validate(values)


class _Permissions(_Loose):
    deny: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    default_decision: str = "ask"
    enabled: bool = True

    @field_validator("deny", "allow", "ask", mode="before")
    @classmethod
    def _texts(cls, rules: Any) -> Any:
        return [rule.get("rule") if isinstance(rule, dict) else rule for rule in rules]

    def ours(self) -> PermissionPolicy:
        return PermissionPolicy.model_validate(self.model_dump() | {"default_decision": _words(self.default_decision)})


class _Config(_Loose):
    name: str = ""
    workspace: str = ""
    system_prompt: str | None = None
    max_context_length: int = 0
    auto_compact: bool = False
    auto_compact_threshold: float = 0.80
    confirmation_policy: _Confirmation | None = None
    permission_policy: _Permissions | None = None


class _Model(_Loose):
    provider: str
    model: str
    base_url: str | None = None

    def ours(self) -> LlmConfig:
        """Its address without what may be a password or a token in it."""
        if self.base_url is None:
            return LlmConfig(provider=self.provider, model=self.model)
        parts = urlsplit(self.base_url)
        address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        return LlmConfig(provider=self.provider, model=self.model, base_url=address)


class _Usage(_Loose):
    used_tokens: int = Field(default=0, ge=0)


class _Image(_Loose):
    id: str
    config: _Config = _Config()
    state: str = "Active"
    messages: tuple[Message, ...]
    context_usage: _Usage = _Usage()
    total_usage: TokenUsage = TokenUsage()
    total_cost: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    thinking_enabled: bool = False
    thinking_budget: int | None = None
    created_at: int = Field(ge=0, le=MAX_TIME)
    updated_at: int = Field(ge=0, le=MAX_TIME)
    llm_config: _Model | None = None
    tasks: TaskList = ()
    parent_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _older_key(cls, value: Any) -> Any:
        return value | {"tasks": value["todos"]} if "todos" in value and "tasks" not in value else value

    @field_validator("total_usage", mode="before")
    @classmethod
    def _given_counts(cls, usage: Any) -> Any:
        return {key: count for key, count in usage.items() if count is not None} if isinstance(usage, dict) else usage

    def configuration(self) -> SessionConfig:
        """The configuration in our words; values of it that we refuse are moved to the nearest we take."""
        config = self.config
        budget = self.thinking_budget
        window = config.max_context_length
        return SessionConfig(
            name=" ".join(config.name.split())[:256],
            workspace=config.workspace,
            system_prompt=config.system_prompt,
            model=self.llm_config.ours() if self.llm_config else None,
            max_context_length=max(window, 256) if window > 0 else 0,
            auto_compact=config.auto_compact,
            auto_compact_threshold=config.auto_compact_threshold,
            permission_policy=config.permission_policy.ours() if config.permission_policy else None,
            confirmation_policy=config.confirmation_policy.ours() if config.confirmation_policy else None,
            parent_id=self.parent_id,
            thinking_enabled=self.thinking_enabled,
            thinking_budget=max(budget, 1024) if budget is not None else None,
        )


def archive_of_image(image: Mapping[str, Any]) -> SessionArchive:
    """A session file as a document.

    Raises:
        pydantic.ValidationError: it is none.
    """
    read = _Image.model_validate(dict(image))
    blobs: dict[str, bytes] = {}
    created, updated = (datetime.fromtimestamp(at, UTC) for at in (read.created_at, read.updated_at))
    drafts = list(_drafts(read, blobs))
    records: list[dict[str, Any]] = []
    for seq, draft in enumerate(drafts, 1):
        at = max(created, updated) if seq == len(drafts) else created
        record = r.stamp(draft, journal_id="", session_id=read.id, seq=seq, at=at, epoch=0)
        records.append(portable(json.loads(r.encode_record(record))))
    encoded = {digest: base64.b64encode(content).decode() for digest, content in blobs.items()}
    return SessionArchive(session_id=read.id, records=tuple(records), blobs=encoded)


def _drafts(image: _Image, blobs: dict[str, bytes]) -> Iterator[Draft]:
    yield Draft(r.SessionCreated, r.SessionCreated.Data(journal_id="", tenant="", config=image.configuration()))
    for given in image.messages:
        yield small(Draft(r.MessageAdded, r.MessageAdded.Data(message=given)), blobs)
    if image.tasks:
        yield Draft(r.TasksUpdated, r.TasksUpdated.Data(tasks=image.tasks))
    state = _words(image.state)
    told = r.SessionImported.Data(
        origin=ORIGIN,
        state=SessionState(state) if state in set(SessionState) else SessionState.active,
        usage=image.total_usage,
        cost_usd=str(image.total_cost),
        context_used=image.context_usage.used_tokens,
    )
    yield Draft(r.SessionImported, told)
