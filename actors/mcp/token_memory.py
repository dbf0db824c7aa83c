"""What an authorization has brought, in memory and nowhere else. Imported by what has imported the SDK."""

from __future__ import annotations

from collections.abc import Callable

from mcp.shared.auth import OAuthClientInformationFull, OAuthToken


class Memory:
    """The SDK's ``TokenStorage``: tokens and registration, for as long as the server is kept."""

    def __init__(self, learn: Callable[[str], None]) -> None:
        self._learn = learn
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    def learn(self, secret: str) -> None:
        """A secret has come to be known."""
        self._learn(secret)

    @property
    def bearer(self) -> str | None:
        """The header that proves it."""
        return f"Bearer {self._tokens.access_token}" if self._tokens is not None else None

    async def get_tokens(self) -> OAuthToken | None:
        """See ``TokenStorage``."""
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """See ``TokenStorage``."""
        for secret in (tokens.access_token, tokens.refresh_token):
            self._learn(secret or "")
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """See ``TokenStorage``."""
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """See ``TokenStorage``."""
        self._learn(client_info.client_secret or "")
        self._client = client_info
