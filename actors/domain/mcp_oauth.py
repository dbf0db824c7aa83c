"""How the service proves who it is to an MCP server at a URL, and how a person's consent comes back to it."""

from __future__ import annotations

from enum import StrEnum
from hmac import compare_digest
from typing import Any, Final, Self, cast
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from actors.domain.base import Frozen

CALLBACK_PATH: Final = "/v1/mcp-servers/authorized"
"""Where the service takes back browsers that come from an authorization server."""

CLIENT_PATH: Final = "/v1/mcp-servers/client"
"""Where the service tells authorization servers about itself."""

DEFAULT_REDIRECT: Final = f"http://127.0.0.1:8000{CALLBACK_PATH}"
"""Of a service that listens where it does by default."""

MAX_REDIRECT_CHARS: Final = 16 * 1024
"""Longest address that a browser is sent back to: codes of some servers are signed documents."""

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def client_document(redirect_uri: str) -> str | None:
    """The address of the document about a service that browsers come back to; None where nobody could fetch it."""
    own = redirect_uri.endswith(CALLBACK_PATH) and redirect_uri.startswith("https://")
    return redirect_uri.removesuffix(CALLBACK_PATH) + CLIENT_PATH if own else None


class Grant(StrEnum):
    """By what right a token is given."""

    authorization_code = "authorization_code"
    """A person agrees at a page; the status of the server has its address."""

    client_credentials = "client_credentials"
    """The service has credentials of its own."""

    identity_assertion = "identity_assertion"
    """An identity provider vouches for a person who has signed in there (cross-app access)."""


class McpOAuth(Frozen):
    """How the service proves who it is to an HTTP server. A server without any is asked for ``authorization_code``.

    Attributes:
        access_token: Sent as it is; nothing else is needed then.
        grant: Inferred when not given: ``client_credentials`` with ``private_key``, or with ``token_url`` and without
            ``auth_url``; ``identity_assertion`` with ``id_token``; else ``authorization_code``.
        issuer: The authorization server that the credentials are for. Without it they go to the one that the MCP
            server names.
        auth_url: The authorization page; with ``token_url`` and ``client_id``, the MCP server is not asked for any.
        token_url: Where tokens are got; of client credentials the MCP server is not asked then.
        client_id: As registered with the authorization server; without it the service registers itself.
        private_key: PEM; signs for the client in the place of ``client_secret``.
        client_metadata_url: An https document about the client, which is its id where authorization servers take that;
            the service's own when None, if browsers reach it over https.
        redirect_uri: Where browsers are sent back to; the service's own address when None.
        id_token: Of the identity provider, for the person.
        idp_client_id: The service's id there.
        idp_token_url: Where the provider exchanges ``id_token`` for an assertion.
    """

    access_token: SecretStr | None = None
    grant: Grant = Grant.authorization_code
    issuer: str | None = Field(default=None, max_length=2048)
    auth_url: str | None = Field(default=None, max_length=2048)
    token_url: str | None = Field(default=None, max_length=2048)
    client_id: str | None = Field(default=None, min_length=1, max_length=1024)
    client_secret: SecretStr | None = None
    private_key: SecretStr | None = None
    signing_algorithm: str = Field(default="RS256", pattern=r"^(RS|ES|PS)(256|384|512)$")
    client_metadata_url: str | None = Field(default=None, max_length=2048)
    redirect_uri: str | None = Field(default=None, max_length=2048)
    scopes: tuple[str, ...] = Field(default=(), max_length=64)
    id_token: SecretStr | None = None
    idp_client_id: str | None = Field(default=None, min_length=1, max_length=1024)
    idp_token_url: str | None = Field(default=None, max_length=2048)

    @model_validator(mode="before")
    @classmethod
    def _inferred(cls, data: object) -> object:
        if not isinstance(data, dict) or "grant" in data:
            return data
        given = cast("dict[str, Any]", data)
        if given.get("private_key") or (given.get("token_url") and not given.get("auth_url")):
            return given | {"grant": Grant.client_credentials}
        return given | {"grant": Grant.identity_assertion} if given.get("id_token") else given

    @field_validator("issuer", "auth_url", "token_url", "client_metadata_url", "redirect_uri", "idp_token_url")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
                raise ValueError("must be an http or https URL without user info and query")
        return value

    @field_validator("client_metadata_url")
    @classmethod
    def _document(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme != "https" or urlsplit(value).path in {"", "/"}):
            raise ValueError("must be an https URL with a path")
        return value

    @field_validator("redirect_uri")
    @classmethod
    def _safe(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme != "https" and urlsplit(value).hostname not in LOOPBACK:
            raise ValueError("must be https, or on this machine: it brings the code of the authorization")
        return value

    @field_validator("scopes")
    @classmethod
    def _words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not one or len(one) > 256 or not one.isprintable() or " " in one for one in value):
            raise ValueError("a scope is one word of at most 256 characters")
        return value

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.access_token is not None:
            return self
        if self.client_secret is not None and self.client_id is None:
            raise ValueError("a client_secret is of a client_id")
        coded = self.grant is Grant.authorization_code
        fixed = coded and self.auth_url and self.token_url and self.client_id and not self.issuer
        if (self.auth_url or (coded and self.token_url)) and not fixed:
            raise ValueError("auth_url goes with token_url and client_id, without issuer, for authorization_code")
        if self.grant is Grant.client_credentials and not (
            self.client_id and (self.client_secret if self.token_url else self.client_secret or self.private_key)
        ):
            raise ValueError(
                "client credentials are client_id and client_secret, or (without token_url) client_id and private_key"
            )
        if self.grant is Grant.identity_assertion and not (
            self.client_id and self.client_secret and self.issuer
            and self.id_token and self.idp_client_id and self.idp_token_url
        ):  # fmt: skip
            raise ValueError(
                "identity_assertion needs issuer, client_id, client_secret, id_token, idp_client_id and idp_token_url"
            )
        return self

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """What must not be told."""
        found = (self.access_token, self.client_secret, self.private_key, self.id_token)
        return tuple(one for one in found if one is not None)


class Redirect(Frozen):
    """What a browser brings back from an authorization server.

    Attributes:
        state: Names the authorization that it belongs to.
        code: Of the consent; None when there was none.
        issuer: Who says so, where servers tell that.
        error: Why there was no consent.
    """

    state: str
    code: SecretStr | None = None
    issuer: str | None = None
    error: str | None = None

    @classmethod
    def of(cls, url: str) -> Redirect:
        """What the query of an address says.

        Raises:
            ValueError: it is none that a browser was sent back to.
        """
        if len(url) > MAX_REDIRECT_CHARS:
            raise ValueError(f"The address has more than {MAX_REDIRECT_CHARS} characters.")
        found = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if "state" not in found or not ("code" in found or "error" in found):
            raise ValueError("The address has no state with a code or an error: give it as the browser shows it.")
        code = found.get("code")
        return cls(
            state=found["state"],
            code=SecretStr(code) if code is not None else None,
            issuer=found.get("iss"),
            error=found.get("error", "")[:200] or None,
        )

    def comes_from(self, page: str | None) -> bool:
        """Whether the browser was sent to this authorization page: nobody else knows the state in its address."""
        states = parse_qs(urlsplit(page or "").query).get("state", [""])
        return compare_digest(states[0].encode(), self.state.encode()) and bool(self.state)
