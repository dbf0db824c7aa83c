"""Between the SDK's OAuth and a configuration: who proves what, and to whom. Imported by what has imported the SDK."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.auth.utils import extract_field_from_www_auth, issuers_match, union_scopes
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl, SecretStr

from actors.domain.mcp_oauth import LOOPBACK, Grant, McpOAuth, client_document
from actors.mcp.consent import Consent, Refused
from actors.mcp.questions import NoQuestion
from actors.mcp.token_url import TokenUrl, exchanged

Learn = Callable[[str], None]

_BEFORE_2025_06: Final = "/.well-known/oauth-authorization-server"
"""Where a server told of its authorization by the protocol of 2025-03-26."""

_LONG_AGO: Final = 1.0
"""When a token has expired that its server does not take any more."""


def auth_of(url: str, oauth: McpOAuth, consent: Consent, redirect_url: str, learn: Learn) -> httpx2.Auth:
    """What proves who asks a server at a URL; ``learn`` is told of each secret that comes to be known."""
    if oauth.grant is Grant.client_credentials and oauth.token_url is not None:
        return TokenUrl(url, oauth, learn)
    memory = _Memory(learn)
    match oauth.grant:
        case Grant.client_credentials:
            return Proof(_by_credentials(url, oauth, memory), memory, consent)
        case Grant.identity_assertion:
            return Proof(_by_assertion(url, oauth, memory, learn), memory, consent)
        case Grant.authorization_code:
            return Proof(_ByConsent(url, oauth, memory, consent, oauth.redirect_url or redirect_url), memory, consent)


class _Memory:
    """The SDK's ``TokenStorage``: tokens and registration, for as long as the server is kept."""

    def __init__(self, learn: Learn) -> None:
        self._learn = learn
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    def learn(self, secret: str) -> None:
        """See ``auth_of``."""
        self._learn(secret)

    @property
    def bearer(self) -> str | None:
        """The header that proves it."""
        return f"Bearer {self._tokens.access_token}" if self._tokens is not None else None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        for secret in (tokens.access_token, tokens.refresh_token):
            self._learn(secret or "")
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._learn(client_info.client_secret or "")
        self._client = client_info


class Proof(httpx2.Auth):
    """Sends the token that there is, and goes through the SDK's flow when the server wants another.

    The flow by itself lets one request at a time wait for its answer, and every call would wait for every other one.
    """

    def __init__(self, provider: httpx2.Auth, memory: _Memory, consent: Consent) -> None:
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


class _ByConsent(OAuthClientProvider):
    """A person agrees. The client is the configured one, or is known by its document, or registers itself."""

    def __init__(self, url: str, oauth: McpOAuth, memory: _Memory, consent: Consent, redirect_url: str) -> None:
        self._scope, self._issuer = _scope(oauth), oauth.issuer
        self._given = _client_of(oauth, redirect_url)
        self._memory, self._consent = memory, consent
        self._page = ""
        local = urlsplit(redirect_url).hostname in LOOPBACK
        metadata = OAuthClientMetadata(
            client_name="Greenroom",
            redirect_uris=[AnyUrl(redirect_url)],
            scope=self._scope,
            application_type="native" if local else "web",
        )
        document = oauth.client_metadata_url or client_document(redirect_url)
        super().__init__(url, metadata, memory, self._visit, self._visited, document)

    async def _initialize(self) -> None:
        await super()._initialize()
        if self.context.client_info is None:
            self.context.client_info = self._given

    def _select_authorization_server(self, advertised: list[str]) -> str:
        found = [one for one in advertised if self._issuer is None or issuers_match(one, self._issuer)]
        if not found:
            raise self._led_elsewhere(advertised[0])
        return found[0]

    def _led_elsewhere(self, where: str) -> OAuthFlowError:
        return OAuthFlowError(f"the server leads to {where[:200]}, and its configuration to the issuer {self._issuer}")

    async def _auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        async with aclosing(super()._auth_flow(request)) as flow:
            outgoing = await anext(flow)
            while True:
                response = yield outgoing
                if self.context.auth_server_url is None and outgoing.url.path == _BEFORE_2025_06:
                    response = await _of_its_origin(response)
                try:
                    outgoing = await flow.asend(response)
                except StopAsyncIteration:
                    return

    async def _visit(self, url: str) -> None:
        self._page = url

    async def _visited(self) -> AuthorizationCodeResult:
        redirect = await self._consent.seek(self._page)
        assert redirect.code is not None, "without one it would have been refused"
        self._memory.learn(redirect.code.get_secret_value())
        return AuthorizationCodeResult(code=redirect.code.get_secret_value(), state=redirect.state, iss=redirect.issuer)

    async def _perform_authorization(self) -> httpx2.Request:
        """See the base. What was configured is asked for too, and the client is proven as the server knows how."""
        self.context.client_metadata.scope = union_scopes(self.context.client_metadata.scope, self._scope)
        client, server = self.context.client_info, self.context.oauth_metadata
        if self._issuer is not None and (server is None or not issuers_match(str(server.issuer), self._issuer)):
            raise self._led_elsewhere(str(server.issuer) if server is not None else "nowhere")
        ways = (server.token_endpoint_auth_methods_supported if server is not None else None) or []
        if client is not None and client is self._given and client.client_secret and ways:
            basic = "client_secret_basic" in ways or "client_secret_post" not in ways
            client.token_endpoint_auth_method = "client_secret_basic" if basic else "client_secret_post"
        return await super()._perform_authorization()


async def _of_its_origin(response: httpx2.Response) -> httpx2.Response:
    """What an origin says of its authorization server: as long as none was named, one at any path of it was meant."""
    try:
        await response.aread()
        said: dict[str, Any] = response.json()
        issuer, here = httpx2.URL(said["issuer"]), response.request.url
        same = (issuer.scheme, issuer.host, issuer.port) == (here.scheme, here.host, here.port)
    except (ValueError, KeyError, TypeError, httpx2.InvalidURL):
        return response
    if not same or not response.is_success:
        return response
    return httpx2.Response(200, json=said | {"issuer": str(here.join("/"))}, request=response.request)


def _client_of(oauth: McpOAuth, redirect_url: str) -> OAuthClientInformationFull | None:
    """The client that was registered by hand."""
    if oauth.client_id is None:
        return None
    secret = oauth.client_secret
    return OAuthClientInformationFull(
        client_id=oauth.client_id,
        client_secret=secret.get_secret_value() if secret is not None else None,
        redirect_uris=[AnyUrl(redirect_url)],
        token_endpoint_auth_method="client_secret_basic" if secret is not None else "none",
        issuer=oauth.issuer,
    )


def _by_credentials(url: str, oauth: McpOAuth, memory: _Memory) -> httpx2.Auth:
    given: dict[str, Any] = {"scope": _scope(oauth), "issuer": oauth.issuer, "client_id": oauth.client_id}
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


def _by_assertion(url: str, oauth: McpOAuth, memory: _Memory, learn: Learn) -> httpx2.Auth:
    async def assertion(audience: str, resource: str) -> str:
        return await exchanged(oauth, audience, resource, learn)

    return IdentityAssertionOAuthProvider(
        url,
        memory,
        client_id=oauth.client_id or "",
        client_secret=_plain(oauth.client_secret),
        issuer=oauth.issuer or "",
        assertion_provider=assertion,
        scope=_scope(oauth),
        token_endpoint_auth_method="client_secret_basic",
    )


def _scope(oauth: McpOAuth) -> str | None:
    return " ".join(oauth.scopes) or None


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
