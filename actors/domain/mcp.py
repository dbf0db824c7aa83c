"""MCP servers as configured and as they stand: what is asked of the service, and what it tells without secrets.

Values of ``env`` and ``headers``, tokens, client secrets, and what a URL carries beside its address, are secrets: they
are held in memory only. What the store keeps of a server is ``McpServerConfig.without_secrets``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from actors.domain.base import Frozen
from actors.domain.mcp_oauth import McpOAuth
from actors.domain.mcp_transports import (
    MAX_ARGS,
    TRANSPORTS,
    HttpTransport,
    Secrets,
    StdioTransport,
    Transport,
)
from actors.domain.tools import ToolDefinition

MAX_SERVER_NAME: Final = 32
"""Half of what a provider takes for a tool's name: the other half is for the tool's own."""

MAX_SERVERS: Final = 64
"""Servers of one tenant that all its sessions share, and of one session alone: each is a process of about 170 MB."""

MAX_ALL_SERVERS: Final = 512
"""Servers of a whole runtime, those of its sessions too: some 90 GB of processes."""

MAX_ANSWER_S: Final = 7 * 86400.0
"""Longest time for an answer, in seconds: a server of the older protocols keeps its call open as long."""

MAX_SAMPLED_TOKENS: Final = 8192
"""Longest answer of a model to a tool: 24 KiB of text are kept of one."""

MAX_SECRET_CHARS: Final = 64 * 1024
"""Secrets of one server together: what HTTP servers take in headers, and an environment holds with ease."""

_SERVER_NAME = re.compile(r"[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_FOR_SERVERS = frozenset({"ld_preload", "ld_library_path", "ld_audit"})


class McpServerConfig(Frozen):
    """An MCP server.

    ``transport`` is an object with its ``type``, or its type's name with its members beside it (``transport="stdio",
    command=...``). Types are ``stdio``, ``streamable-http`` (also ``http``) and ``sse``.

    Attributes:
        name: 1 to 32 letters, digits, ``-`` and single ``_``: the tools are called ``mcp__NAME__TOOL``.
        enabled: False keeps it configured and unconnected.
        env: Variables of a stdio server beside HOME, LANG, LOGNAME, PATH, SHELL, TERM, TMPDIR, TZ and USER, which are
            all that it inherits.
        tool_timeout_s: Longest run of one of its tools in seconds, from one question to the next where it asks.
        answer_within_s: How long a question of one of its tools waits for people, in seconds; then it is cancelled.
        connect_timeout_s: Longest time in seconds from the start to the list of tools.
        sampling: What becomes of its tools' requests for a model's answer: ``deny`` them, ``ask`` somebody, or
            ``allow`` them. The session's model answers, within the session's budget, and is told what the server says
            and nothing else.
        sampling_max_tokens: Longest such answer.
        sampling_limit: Such answers of one call.
        roots: Tell it that the workspace is the directory to work in: the session's own, of a server that is private
            to one and in calls of the protocol of 2026-07-28; else the runtime's. Some then forget other directories.
        trust_annotations: Believe what the server says of its tools: those it calls read-only are pure, those it calls
            idempotent may be repeated. Otherwise each call is unsafe.
    """

    name: str
    transport: Transport
    enabled: bool = True
    env: Secrets = Field(default={}, max_length=MAX_ARGS)
    oauth: McpOAuth | None = None
    tool_timeout_s: float = Field(default=60.0, gt=0, le=3600)
    answer_within_s: float = Field(default=86400.0, gt=0, le=MAX_ANSWER_S)
    connect_timeout_s: float = Field(default=30.0, gt=0, le=300)
    sampling: Literal["deny", "ask", "allow"] = "deny"
    sampling_max_tokens: int = Field(default=1024, gt=0, le=MAX_SAMPLED_TOKENS)
    sampling_limit: int = Field(default=5, gt=0, le=50)
    roots: bool = False
    trust_annotations: bool = False

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        given = dict(cast("dict[str, Any]", data))
        kind = given.get("transport")
        if isinstance(kind, str):
            members = ("command", "args", "cwd") if kind == "stdio" else ("url", "headers")
            given["transport"] = {"type": kind} | {name: given.pop(name) for name in members if name in given}
        nested = given.get("transport")
        if isinstance(nested, dict) and "type" in nested:
            known = cast("dict[str, Any]", nested)
            if known["type"] not in TRANSPORTS:
                raise ValueError(f"transport: the type is one of {', '.join(TRANSPORTS)}")
            given["transport"] = known | {"type": TRANSPORTS[known["type"]]}
        return given

    @field_validator("name")
    @classmethod
    def _fits(cls, value: str) -> str:
        if len(value) > MAX_SERVER_NAME or not _SERVER_NAME.fullmatch(value):
            raise ValueError(
                f"1 to {MAX_SERVER_NAME} letters, digits, '-' and single '_' between them: tools are mcp__NAME__TOOL"
            )
        return value

    @field_validator("env")
    @classmethod
    def _variables(cls, value: Secrets) -> Secrets:
        for name, secret in value.items():
            if not _VARIABLE.fullmatch(name) or "\0" in secret.get_secret_value():
                raise ValueError("env: names are letters, digits and '_', values have no zero character")
            if name.lower() in _NOT_FOR_SERVERS:
                raise ValueError(f"env: {name} changes what every program does, and is not passed on")
        return value

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        if isinstance(self.transport, StdioTransport) and self.oauth is not None:
            raise ValueError("oauth is for servers at a URL")
        if isinstance(self.transport, HttpTransport) and self.env:
            raise ValueError("env is for stdio servers; give a server at a URL headers or oauth")
        if sum(map(len, self.secrets)) > MAX_SECRET_CHARS:
            raise ValueError(f"secrets have at most {MAX_SECRET_CHARS} characters together")
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret value, the longest first: what must not appear in anything that is told."""
        found = [*self.env.values()]
        if isinstance(self.transport, HttpTransport):
            found += self.transport.headers.values()
            parts = urlsplit(self.transport.url.get_secret_value())
            found += [SecretStr(part) for part in (parts.query, parts.username, parts.password) if part]
        if self.oauth is not None:
            found += self.oauth.secrets
        values = {one.get_secret_value() for one in found}
        return tuple(sorted((value for value in values if value), key=len, reverse=True))

    def without_secrets(self) -> KnownServer:
        """What may be written down of it. Without its secrets, how it proves who it is is of no use."""
        complete = not self.secrets
        shown: dict[str, Any] = self.model_dump(mode="json", exclude={"env"} if complete else {"env", "oauth"})
        shown["transport"].pop("headers", None)
        return KnownServer(config=shown, complete=complete)


class KnownServer(Frozen):
    """What the store keeps of a server.

    Attributes:
        config: The configuration's members that are no secrets.
        complete: There was no secret; the server can be connected again from this.
    """

    config: dict[str, Any]
    complete: bool

    def restored(self) -> McpServerConfig:
        """The configuration, as far as it was kept."""
        return McpServerConfig.model_validate(self.config)


class McpState(StrEnum):
    """How a server stands."""

    connecting = "connecting"
    connected = "connected"
    reconnecting = "reconnecting"
    """It was lost, or never reached; it is tried again after a pause."""

    needs_authorization = "needs_authorization"
    """Somebody has to agree at the page ``authorization_url`` of the status."""

    disabled = "disabled"
    needs_secrets = "needs_secrets"
    """The runtime that was given its secrets has ended: add the server again with them."""


class McpStatus(Frozen):
    """How a server stands, for people; no secrets.

    Attributes:
        session_id: The session that it is private to; None when all share it.
        where: Program of a stdio server, address of another.
        protocol: Version that was agreed on.
        tools_left_out: Tools that the server offers and that are not published: too many, too large, nameless, or such
            as run as tasks of 2025-11-25 only.
        error: Why it is not connected, or was not the last time.
        authorization_url: The page where somebody has to agree before it can be used, or used for more. Meant for a
            person's browser: it works once, for half an hour.
    """

    name: str
    session_id: str | None = None
    transport: Literal["stdio", "streamable-http", "sse"]
    where: str
    enabled: bool = True
    state: McpState
    protocol: str | None = None
    server: str | None = None
    tool_count: int = 0
    tools_left_out: int = 0
    error: str | None = None
    authorization_url: str | None = None

    @property
    def connected(self) -> bool:
        """Whether its tools can be called now."""
        return self.state is McpState.connected


class McpOffer(Frozen):
    """What a server's actor tells of it: how it stands, and the tools it publishes."""

    status: McpStatus
    definitions: tuple[ToolDefinition, ...] = ()


def status_of(config: McpServerConfig, state: McpState, session_id: str | None = None, **more: Any) -> McpStatus:
    """The status of a server of this configuration."""
    transport = config.transport
    return McpStatus(
        name=config.name,
        session_id=session_id,
        transport=transport.type,
        where=transport.command if isinstance(transport, StdioTransport) else transport.address,
        enabled=config.enabled,
        state=state,
        **more,
    )
