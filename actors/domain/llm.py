"""Which model a session talks to, and with what settings. Keys are held apart and are never written."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any, cast
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from actors.domain.base import MAX_LEVELS, Frozen, is_deep, one_line
from actors.errors import InvalidConfig

PROVIDER_ALIASES = {"claude": "anthropic", "gpt": "openai"}

MAX_TOKENS = 10_000_000
"""Upper end of every number of tokens: a few times the largest window that any provider offers."""

_CREDENTIALS = frozenset({"api_key", "apikey", "authorization", "x_api_key"})


_Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=24, decimal_places=12)]


class ModelPrice(Frozen):
    """What a model costs, in US dollars for a million tokens: each at most 1,000,000, to 12 decimal places.

    Attributes:
        input: Of the prompt.
        output: Of the answer.
        cache_read: Of what the provider's cache has of the prompt; as ``input`` when None.
        cache_write: Of what it is told to keep; as ``input`` when None.
    """

    input: _Dollars
    output: _Dollars
    cache_read: _Dollars | None = None
    cache_write: _Dollars | None = None


class LlmConfig(Frozen):
    """A model of a provider: ``LlmConfig.of("openai/gpt-4o-mini")``, or with every setting.

    Attributes:
        provider: ``openai``, ``anthropic``, ``local``, ``scripted``; any other name needs ``base_url`` and
            speaks the OpenAI wire.
        model: The provider's own name of the model.
        base_url: Root of the server; a trailing ``/`` and ``/v1`` are dropped, user info and query are refused.
        api_key: The key. Never part of a dump, a repr, the journal or an event.
        credential_id: Names a key that the runtime holds in memory; set by the manager when a key is given.
        temperature: Sampling temperature; the provider's default when None.
        max_tokens: Longest answer in tokens; 8192 on the Anthropic wire when None, which wants a number.
        timeout_s: Total time of one call in seconds, retries included.
        price: What it costs, for models that the table of prices does not know, or knows another price of.
        options: Further settings of the provider, sent as they are (for ``scripted``: the script).
    """

    provider: str = Field(min_length=1, max_length=64)
    model: str = Field(min_length=1, max_length=256)
    base_url: str | None = None
    api_key: SecretStr | None = Field(default=None, exclude=True)
    credential_id: str | None = Field(default=None, max_length=64)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, gt=0, le=MAX_TOKENS)
    timeout_s: float = Field(default=600.0, gt=0, le=3600)
    price: ModelPrice | None = Field(default=None, exclude_if=lambda value: value is None)
    options: dict[str, Any] = {}

    @classmethod
    def of(cls, name: str, **settings: Any) -> LlmConfig:
        """From ``provider/model``.

        Raises:
            InvalidConfig: the name has no slash, or an empty part.
        """
        provider, slash, model = name.partition("/")
        if not slash or not provider or not model:
            raise InvalidConfig(f"Model name {name!r} is not of the form provider/model, such as 'openai/gpt-4o-mini'.")
        return cls(provider=provider, model=model, **settings)

    @property
    def name(self) -> str:
        """``provider/model``."""
        return f"{self.provider}/{self.model}"

    @field_validator("provider", "model")
    @classmethod
    def _one_line(cls, value: str) -> str:
        return one_line(value)

    @field_validator("provider")
    @classmethod
    def _canonical_provider(cls, value: str) -> str:
        return PROVIDER_ALIASES.get(value.lower(), value.lower())

    @field_validator("base_url")
    @classmethod
    def _plain_base_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("base_url must be an http or https URL")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("base_url must not carry credentials, a query or a fragment; give the key as api_key")
        _ = parts.port  # Refuses what is no port.
        path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    @field_validator("options")
    @classmethod
    def _can_be_written(cls, value: dict[str, Any]) -> dict[str, Any]:
        if is_deep(value):
            raise ValueError(f"options have at most {MAX_LEVELS} levels")
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("options have half of a surrogate pair in them, which is not valid Unicode") from None
        except TypeError:
            raise ValueError("options are values of JSON") from None
        return value

    @model_validator(mode="after")
    def _no_key_in_options(self) -> LlmConfig:
        found = _credential_in(self.options)
        if found is not None:
            raise ValueError(f"options must not carry credentials ({found}); give the key as api_key")
        return self


def _credential_in(value: Any) -> str | None:
    """The first name of a credential within nested options."""
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        if named := next((str(key) for key, _ in items if str(key).lower().replace("-", "_") in _CREDENTIALS), None):
            return named
        return next((found for _, one in items if (found := _credential_in(one))), None)
    if isinstance(value, list | tuple):
        return next((found for one in cast("list[Any]", value) if (found := _credential_in(one))), None)
    return None


class RetryConfig(Frozen):
    """When and how long a model host waits before it asks a provider again.

    Delay = min(base x 2^attempt, max) with 25 % jitter either way; a Retry-After header of up to 300 s wins.
    ``max_connect_retries`` is for servers that cannot be connected to at all: a wrong address is more likely than one
    that comes back, and whoever waits should learn of it within about 7 s.
    """

    max_retries: int = Field(default=10, ge=0)
    max_connect_retries: int = Field(default=3, ge=0)
    base_delay_ms: int = Field(default=1000, ge=0)
    max_delay_ms: int = Field(default=30_000, ge=0)
    retryable: frozenset[int] = frozenset({408, 429, 500, 502, 503, 504, 529})

    @classmethod
    def disabled(cls) -> RetryConfig:
        """No retries at all."""
        return cls(max_retries=0)
