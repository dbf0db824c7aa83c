"""Tokens that a person agrees to: the SDK's flow with what a configuration says. Imported by what has the SDK."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.auth.utils import issuers_match, union_scopes
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from pydantic import AnyUrl

from actors.domain.mcp_oauth import LOOPBACK, McpOAuth, client_document
from actors.mcp.consent import Consent
from actors.mcp.token_memory import Memory

_BEFORE_2025_06: Final = "/.well-known/oauth-authorization-server"
"""Where a server told of its authorization by the protocol of 2025-03-26."""


class ByConsent(OAuthClientProvider):
    """A person agrees. The client is the configured one, or is known by its document, or registers itself."""

    def __init__(self, url: str, oauth: McpOAuth, memory: Memory, consent: Consent, redirect_uri: str) -> None:
        self._scope, self._issuer = scope_of(oauth), oauth.issuer
        self._places = (oauth.auth_url, oauth.token_url) if oauth.auth_url and oauth.token_url else None
        self._given = _client_of(oauth, redirect_uri)
        self._memory, self._consent = memory, consent
        self._page = ""
        local = urlsplit(redirect_uri).hostname in LOOPBACK
        metadata = OAuthClientMetadata(
            client_name="Greenroom",
            redirect_uris=[AnyUrl(redirect_uri)],
            scope=self._scope,
            application_type="native" if local else "web",
        )
        document = oauth.client_metadata_url or client_document(redirect_uri)
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
                if self._places is not None and outgoing is not request and outgoing.method == "GET":
                    response = _document(outgoing, *self._places)
                else:
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
        issuer = redirect.issuer if self._places is None else None
        self._memory.learn(redirect.code.get_secret_value())
        return AuthorizationCodeResult(code=redirect.code.get_secret_value(), state=redirect.state, iss=issuer)

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


def _document(request: httpx2.Request, auth_url: str, token_url: str) -> httpx2.Response:
    """What the configuration says, in the place of what the server would."""
    if request.url.path != _BEFORE_2025_06:
        return httpx2.Response(404, request=request)
    places = {"authorization_endpoint": auth_url, "token_endpoint": token_url}
    return httpx2.Response(200, json={"issuer": str(request.url.join("/"))} | places, request=request)


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


def _client_of(oauth: McpOAuth, redirect_uri: str) -> OAuthClientInformationFull | None:
    """The client that was registered by hand."""
    if oauth.client_id is None:
        return None
    secret = oauth.client_secret
    return OAuthClientInformationFull(
        client_id=oauth.client_id,
        client_secret=secret.get_secret_value() if secret is not None else None,
        redirect_uris=[AnyUrl(redirect_uri)],
        token_endpoint_auth_method="client_secret_basic" if secret is not None else "none",
        issuer=oauth.issuer,
    )


def scope_of(oauth: McpOAuth) -> str | None:
    """The scopes that a configuration asks for, as servers write them."""
    return " ".join(oauth.scopes) or None
