"""The ways to an MCP server: a child process, or a URL."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_serializer, field_validator

from actors.domain.base import Frozen, one_line

MAX_ARGS: Final = 256
"""Arguments, variables or headers of one server."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

Secrets = dict[str, SecretStr]


class StdioTransport(Frozen):
    """A child process that speaks over its stdin and stdout.

    Attributes:
        command: Program, looked up in PATH; no shell is involved.
        cwd: Where it starts; the runtime's own directory when None.
    """

    type: Literal["stdio"] = "stdio"
    command: str = Field(min_length=1, max_length=4096)
    args: tuple[str, ...] = Field(default=(), max_length=MAX_ARGS)
    cwd: str | None = None

    @field_validator("command", "cwd")
    @classmethod
    def _no_zero(cls, value: str | None) -> str | None:
        if value is not None and "\0" in value:
            raise ValueError("must not hold a zero character")
        return value

    @field_validator("args")
    @classmethod
    def _no_zeros(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in one or len(one) > 32_768 for one in value):
            raise ValueError("an argument has at most 32,768 characters, and no zero among them")
        return value


class HttpTransport(Frozen):
    """A server at a URL: streamable HTTP, or the SSE of older servers.

    Attributes:
        url: User info and query are secrets, like the headers' values.
        headers: Sent with every request.
    """

    type: Literal["streamable-http", "sse"] = "streamable-http"
    url: SecretStr
    headers: Secrets = Field(default={}, max_length=MAX_ARGS)

    @field_validator("url")
    @classmethod
    def _http(cls, value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(one_line(value.get_secret_value()))
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError("must be an http or https URL with a host")
        return value

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: Secrets) -> Secrets:
        for name, secret in value.items():
            if not _HEADER.fullmatch(name) or not secret.get_secret_value().isprintable():
                raise ValueError("names of headers are tokens, and their values one line")
        return value

    @property
    def address(self) -> str:
        """The URL without what may be secret in it."""
        parts = urlsplit(self.url.get_secret_value())
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        netloc = host if parts.port is None else f"{host}:{parts.port}"
        return urlunsplit((parts.scheme, netloc, parts.path, "", ""))

    @field_serializer("url")
    def _shown(self, _: SecretStr) -> str:
        return self.address


Transport = Annotated[StdioTransport | HttpTransport, Field(discriminator="type")]

TRANSPORTS: Final = {"stdio": "stdio", "http": "streamable-http", "streamable-http": "streamable-http", "sse": "sse"}
