"""Settings of a runtime and its service, from arguments or ``GREENROOM_*`` environment variables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, StringConstraints, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from actors.domain.llm import LlmConfig
from actors.domain.mcp_oauth import CALLBACK_PATH
from actors.domain.permissions import PermissionPolicy
from actors.domain.retention import MAX_TTL_S, Retention
from actors.domain.security import SecurityConfig
from actors.domain.stores import DEFAULT_STORE, MAX_STORES
from actors.domain.tools import SandboxMode, ToolOptions

StoreName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]

LOCAL_MODEL = "local/smollm2-135m-instruct"
"""The embedded model: needs no key and no network."""


def _data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return Path(base) / "greenroom" if base else Path.home() / ".local" / "share" / "greenroom"


class Settings(BaseSettings):
    """Everything that can be set from outside.

    Attributes:
        runtime: Name of the runtime, the prefix of its actors' names; many can live in one Ray cluster.
        ray_address: Cluster to join (``auto``, ``host:port``); a cluster on this machine is started when None.
        data_dir: Where ``serve`` keeps its database.
        store_url: ``postgresql://...``, ``sqlite:///...`` or ``memory:``; SQLite in ``data_dir`` when None.
        stores: Further stores by name, as URLs: sessions choose one by ``storage_type``, or by its name.
        model: Default model as ``provider/model``.
        public_url: Where people's browsers reach the HTTP service, for those that come back from an authorization page;
            ``host`` and ``port`` when None.
        api_keys: Tokens that the HTTP service accepts; none means loopback only.
        workspace: Directory of sessions that name none; the current directory when empty.
        shared_workspaces: Every node of the cluster sees the same files under the sessions' workspaces.
        openai_api_key, anthropic_api_key: Keys of the runtime; also read from OPENAI_API_KEY and ANTHROPIC_API_KEY.
        min_warm: Session actors started before anybody asks, and kept.
        spare_warm: Places for sessions that are kept free while sessions are being activated, started ahead of demand.
        max_resident: Most session actors at a time; one that is being replaced comes on top.
        sessions_per_actor: Sessions that share one session actor.
        idle_timeout_s: A session that was not used for so long hibernates.
        session_ttl_s: Seconds without use after which a session that names no ``ttl_s`` is destroyed; None keeps it.
        tenant_ttl_s: The same for the sessions of single tenants, by tenant.
        shrink_after_s: After so long without an activation, session actors beyond ``min_warm`` that host nobody end.
        recycle_after: A session actor is replaced after so many activations; 0: never.
        recycle_growth_mb: A session actor is replaced when the sessions before left so many MB behind; 0: never.
        actor_memory_mb: A session actor with more MB to itself is replaced: idle sessions leave it at once, others when
            they come to rest; 0: never. A blank one has 60, a resident session adds 12, and 10,000 messages some 50.
        actor_memory_max_mb: One with more is killed, as if it had died; 0: never. Raise both with
            ``sessions_per_actor``.
        activation_wait_s: Longest wait of a session for a place when all session actors are busy.
        silence_s: An actor that has not answered for so long is taken for frozen, killed and replaced.
        web_search: Who searches the web for the tool: the URL of a SearXNG instance, or ``package.module:name``.
        sandbox: ``auto``: commands run in bubblewrap where it works; ``required``: or not at all; ``off``.
        sandbox_network: Commands in the sandbox may use the network.
        tool_running: Tool calls that one tool host runs at the same time.
        data_plane: False carries everything over Ray calls, which is slower.
        tcp: Whether actors listen on a TCP port of their node, for those on other nodes; None: when there are any.
            Without it nodes reach each other over Ray calls.
        permission_policy: Denials in it bind every session.
        security: What sessions withhold that do not say so themselves.
    """

    model_config = SettingsConfigDict(env_prefix="GREENROOM_", extra="ignore", frozen=True, hide_input_in_errors=True)

    runtime: str = Field(default="greenroom", pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")
    ray_address: str | None = None
    data_dir: Path = Field(default_factory=_data_dir)
    store_url: str | None = Field(default=None, repr=False)  # A database's URL has its password in it.
    stores: dict[StoreName, str] = Field(default={}, repr=False, max_length=MAX_STORES)
    model: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    public_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$", max_length=1024)
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    workspace: str = ""
    shared_workspaces: bool = False
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    min_warm: int = Field(default=2, ge=0, le=256)
    spare_warm: int = Field(default=2, ge=0, le=256)
    max_resident: int = Field(default=16, ge=1, le=4096)
    sessions_per_actor: int = Field(default=1, ge=1, le=1024)
    idle_timeout_s: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    session_ttl_s: float | None = Field(default=None, gt=0, le=MAX_TTL_S)
    tenant_ttl_s: dict[str, Annotated[float, Field(gt=0, le=MAX_TTL_S)]] = Field(default={}, max_length=10_000)
    shrink_after_s: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    recycle_after: int = Field(default=1000, ge=0)
    recycle_growth_mb: int = Field(default=64, ge=0)
    actor_memory_mb: int = Field(default=256, ge=0)
    actor_memory_max_mb: int = Field(default=1024, ge=0)
    activation_wait_s: float = Field(default=20.0, gt=0, le=600, allow_inf_nan=False)
    silence_s: float = Field(default=10.0, ge=1, le=600, allow_inf_nan=False)
    web_search: str | None = Field(default=None, repr=False)  # A URL may have credentials in it.
    sandbox: SandboxMode = "auto"
    sandbox_network: bool = False
    tool_running: int = Field(default=64, ge=1, le=1024)
    data_plane: bool = True
    tcp: bool | None = None
    permission_policy: PermissionPolicy | None = None
    security: SecurityConfig | None = None

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("stores")
    @classmethod
    def _beside_the_default(cls, value: dict[str, str]) -> dict[str, str]:
        if DEFAULT_STORE in value:
            raise ValueError(f"{DEFAULT_STORE} is the name of the store that every runtime has")
        return value

    @field_validator("model")
    @classmethod
    def _model_name(cls, value: str | None) -> str | None:
        if value:
            LlmConfig.of(value)
        return value or None

    @property
    def retention(self) -> Retention:
        """How long sessions are kept that name no time of their own."""
        return Retention(self.session_ttl_s, self.tenant_ttl_s)

    @property
    def tool_options(self) -> ToolOptions:
        """What is chosen about the built-in tools."""
        return ToolOptions(sandbox=self.sandbox, sandbox_network=self.sandbox_network, web_search=self.web_search)

    @property
    def redirect_uri(self) -> str:
        """Where browsers come back to that visit the authorization page of an MCP server."""
        here = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        shown = f"[{here}]" if ":" in here else here
        return (self.public_url or f"http://{shown}:{self.port}").rstrip("/") + CALLBACK_PATH

    def provider_key(self, provider: str) -> SecretStr | None:
        """The runtime's key of a provider, from settings or the usual environment variable."""
        own = {"openai": self.openai_api_key, "anthropic": self.anthropic_api_key}.get(provider)
        usual = os.environ.get(f"{provider.upper()}_API_KEY")
        return own or (SecretStr(usual) if usual else None)

    def service_model(self) -> str:
        """The model of the service: the configured one, else one whose key is there, else the embedded one."""
        if self.model:
            return self.model
        for provider, model in (("anthropic", "claude-sonnet-4-20250514"), ("openai", "gpt-4o-mini")):
            if self.provider_key(provider):
                return f"{provider}/{model}"
        return LOCAL_MODEL
