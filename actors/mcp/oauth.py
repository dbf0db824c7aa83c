"""Between the SDK's OAuth and a configuration: who proves what, and to whom. Imported by what has imported the SDK."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.auth.utils import extract_field_from_www_auth
from pydantic import SecretStr

from actors.domain.mcp_oauth import Grant, McpOAuth
from actors.mcp.by_consent import ByConsent, scope_of
from actors.mcp.consent import Consent, Refused
from actors.mcp.questions import NoQuestion
from actors.mcp.token_memory import Memory
from actors.mcp.token_url import TokenUrl, exchanged

Learn = Callable[[str], None]

_LONG_AGO: Final = 1.0
"""When a token has expired that its server does not take any more."""


def auth_of(url: str, oauth: McpOAuth, consent: Consent, redirect_uri: str, learn: Learn) -> httpx2.Auth:
    """What proves who asks a server at a URL; ``learn`` is told of each secret that comes to be known."""
    if oauth.grant is Grant.client_credentials and oauth.token_url is not None:
        return TokenUrl(url, oauth, learn)
    memory = Memory(learn)
    match oauth.grant:
        case Grant.client_credentials:
            return Proof(_by_credentials(url, oauth, memory), memory, consent)
        case Grant.identity_assertion:
            return Proof(_by_assertion(url, oauth, memory, learn), memory, consent)
        case Grant.authorization_code:
            return Proof(ByConsent(url, oauth, memory, consent, oauth.redirect_uri or redirect_uri), memory, consent)


class Proof(httpx2.Auth):
    """Sends the token that there is, and goes through the SDK's flow when the server wants another.

    The flow by itself lets one request at a time wait for its answer, and every call would wait for every other one.
    """

    def __init__(self, provider: httpx2.Auth, memory: Memory, consent: Consent) -> None:
        self._provider = provider
        self._memory = memory
        self._consent = consent

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """See ``httpx2.Auth``."""
        sent = self._memory.bearer
        if sent is not None:
            request.headers["Authorization"] = sent
        response = yield request
        if not _is_challenge(response):
            return
        if response.status_code == 401 and sent == self._memory.bearer:
            self._expire()
        try:
            async with aclosing(self._provider.async_auth_flow(request)) as flow:
                outgoing = await anext(flow)
                while outgoing is not request:
                    outgoing = await flow.asend(_renewing((yield outgoing)))
                if request.headers.get("Authorization") != sent:
                    response = yield request  # There is another token meanwhile.
                    if not _is_challenge(response):
                        return
                outgoing = await flow.asend(response)
                while outgoing is not request:
                    outgoing = await flow.asend((yield outgoing))
        except (OAuthFlowError, Refused, NoQuestion) as exc:
            if not self._consent.failed(str(exc)):
                raise
        yield request

    def _expire(self) -> None:
        """Have the token refreshed, where that can be done, before anybody is asked."""
        if isinstance(self._provider, OAuthClientProvider) and self._provider.context.current_tokens is not None:
            self._provider.context.token_expiry_time = _LONG_AGO


def _is_challenge(response: httpx2.Response) -> bool:
    if response.status_code == 403:
        return extract_field_from_www_auth(response, "error") == "insufficient_scope"
    return response.status_code == 401


def _renewing(response: httpx2.Response) -> httpx2.Response:
    """What came of renewing a token; a server that is out of order has not refused it, and nobody is asked for that."""
    if response.status_code >= 500 or response.status_code == 429:
        raise Refused(f"the token could not be renewed: the authorization server answered {response.status_code}")
    return response


def _by_credentials(url: str, oauth: McpOAuth, memory: Memory) -> httpx2.Auth:
    given: dict[str, Any] = {"scope": scope_of(oauth), "issuer": oauth.issuer, "client_id": oauth.client_id}
    with warnings.catch_warnings():
        # Whoever names no issuer has the server choose: the configuration's documentation says so.
        warnings.simplefilter("ignore")
        if oauth.private_key is None:
            return ClientCredentialsOAuthProvider(url, memory, client_secret=_plain(oauth.client_secret), **given)
        signed = SignedJWTParameters(
            issuer=oauth.client_id or "",
            subject=oauth.client_id or "",
            signing_key=_plain(oauth.private_key),
            signing_algorithm=oauth.signing_algorithm,
        )
        return PrivateKeyJWTOAuthProvider(url, memory, assertion_provider=signed.create_assertion_provider(), **given)


def _by_assertion(url: str, oauth: McpOAuth, memory: Memory, learn: Learn) -> httpx2.Auth:
    async def assertion(audience: str, resource: str) -> str:
        return await exchanged(oauth, audience, resource, learn)

    return IdentityAssertionOAuthProvider(
        url,
        memory,
        client_id=oauth.client_id or "",
        client_secret=_plain(oauth.client_secret),
        issuer=oauth.issuer or "",
        assertion_provider=assertion,
        scope=scope_of(oauth),
        token_endpoint_auth_method="client_secret_basic",
    )


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
