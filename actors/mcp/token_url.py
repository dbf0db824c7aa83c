"""Tokens from a place that the configuration names, whatever the MCP server says. Imported by what has the SDK."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import httpx2

from actors.domain.mcp_oauth import McpOAuth
from actors.mcp.network import Network, Reach

_EARLY_S: Final = 30.0
"""How long before its end a token is replaced."""

_EXCHANGE_S: Final = 10.0

_TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"
_ASSERTION: Final = "urn:ietf:params:oauth:token-type:id-jag"


class TokenUrl(httpx2.Auth):
    """Gets a token for client credentials when the first request is made, and another one when that has run out.

    Args:
        url: Of the MCP server that the token is for.
        learn: Told of each token.
    """

    def __init__(self, url: str, oauth: McpOAuth, learn: Callable[[str], None]) -> None:
        assert oauth.token_url is not None and oauth.client_id is not None and oauth.client_secret is not None
        self._resource = url.partition("?")[0]
        self._token_url = oauth.token_url
        self._basic = httpx2.BasicAuth(oauth.client_id, oauth.client_secret.get_secret_value())
        self._scopes = oauth.scopes
        self._learn = learn
        self._token = ""
        self._until = 0.0

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """See ``httpx2.Auth``."""
        if time.monotonic() >= self._until:
            await self._take((yield self._asking()))
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == 401:
            await self._take((yield self._asking()))
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _asking(self) -> httpx2.Request:
        form = {"grant_type": "client_credentials", "resource": self._resource}
        if self._scopes:
            form["scope"] = " ".join(self._scopes)
        return next(self._basic.sync_auth_flow(httpx2.Request("POST", self._token_url, data=form)))

    async def _take(self, response: httpx2.Response) -> None:
        await response.aread()
        answer = _token_in(response)
        self._token = answer["access_token"]
        self._learn(self._token)
        self._until = time.monotonic() + float(answer.get("expires_in", 3600)) - _EARLY_S


async def exchanged(oauth: McpOAuth, audience: str, resource: str, learn: Callable[[str], None]) -> str:
    """What the identity provider of a configuration says of a person to an authorization server."""
    assert oauth.idp_token_url is not None and oauth.idp_client_id is not None and oauth.id_token is not None
    form = {
        "grant_type": _TOKEN_EXCHANGE,
        "requested_token_type": _ASSERTION,
        "audience": audience,
        "resource": resource,
        "subject_token": oauth.id_token.get_secret_value(),
        "subject_token_type": _ID_TOKEN,
        "client_id": oauth.idp_client_id,
    }
    transport = Network(Reach(oauth.idp_token_url))
    async with httpx2.AsyncClient(transport=transport, timeout=_EXCHANGE_S) as client:
        assertion = _token_in(await client.post(oauth.idp_token_url, data=form))["access_token"]
    learn(assertion)
    return assertion


def _token_in(response: httpx2.Response) -> dict[str, Any]:
    """The members of an answer that has a token.

    Raises:
        RequestError: it has none.
    """
    try:
        answer = response.json() if response.status_code == 200 else {}
        float(answer.get("expires_in", 3600))
        return answer | {"access_token": str(answer["access_token"])}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise httpx2.RequestError(f"the token endpoint answered {response.status_code} without a token") from None
