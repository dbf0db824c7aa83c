"""MCP servers that people have to authorize, over HTTP: the page in the status, and browsers that come back from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from actors.manager import SessionManager
from actors.settings import Settings
from serve_app.app import create_app
from serve_app.auth import Keyring
from tests.unit.mcp.auth_server import AuthServer

SERVERS = "/v1/mcp-servers"


@pytest.fixture
async def web() -> AsyncGenerator[AuthServer]:
    async with AuthServer().serving() as both:
        yield both


@asynccontextmanager
async def service(**settings: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a service with a key."""
    async with await SessionManager.local("scripted/prompt", settings=Settings(**settings)) as manager:

        async def manager_of() -> SessionManager:
            return manager

        app: Any = create_app(manager_of, Keyring.of([SecretStr("key")]))
        transport = httpx.ASGITransport(app)
        key = {"Authorization": "Bearer key"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=key) as client:
            yield client


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with service() as client:
        yield client


async def connected(http: httpx.AsyncClient) -> None:
    while True:
        if (await http.get(SERVERS)).json()["items"][0]["state"] == "connected":
            return
        await asyncio.sleep(0.01)


async def test_a_browser_brings_the_consent_back_without_a_key_and_once(
    http: httpx.AsyncClient, web: AuthServer
) -> None:
    added = await http.post(SERVERS, json={"name": "web", "transport": "http", "url": f"{web.url}/mcp"})
    assert (added.status_code, added.json()["state"]) == (201, "needs_authorization")
    back = urlsplit(await web.agree(added.json()["authorization_url"]))
    assert back.path == f"{SERVERS}/authorized"
    browser = {"Authorization": ""}
    assert (await http.get(SERVERS, headers=browser)).status_code == 401
    forged = await http.get(f"{back.path}?code=x&state=<script>", headers=browser)
    assert (forged.status_code, "script" in forged.text) == (404, False)
    taken = await http.get(f"{back.path}?{back.query}", headers=browser)
    assert taken.status_code == 200 and taken.headers["content-type"].startswith("text/plain"), taken.text
    await connected(http)
    again = await http.get(f"{back.path}?{back.query}", headers=browser)
    assert (again.status_code, "authorization_url" in again.text) == (404, True)
    assert (await http.get(back.path, headers=browser)).status_code == 422


async def test_the_address_of_a_page_that_cannot_be_reached_is_given_by_hand(
    http: httpx.AsyncClient, web: AuthServer
) -> None:
    added = await http.post(SERVERS, json={"name": "web", "transport": "http", "url": f"{web.url}/mcp"})
    back = {"redirect_url": await web.agree(added.json()["authorization_url"])}
    path = f"{SERVERS}/authorizations"
    assert (await http.post(path, json=back, headers={"Authorization": ""})).status_code == 401
    assert (await http.post(path, json={"redirect_url": "nothing"})).status_code == 422
    given = await http.post(path, json=back)
    assert (given.status_code, given.json()["name"]) == (200, "web")
    await connected(http)
    assert (await http.post(path, json=back)).json()["code"] == "AuthorizationNotFound"


async def test_a_service_that_is_reached_over_https_is_known_by_its_document(web: AuthServer) -> None:
    web.metadata = {"client_id_metadata_document_supported": True}
    server = {"name": "web", "transport": "http", "url": f"{web.url}/mcp"}
    async with service(public_url="https://green.example/room/") as http:
        added = await http.post(SERVERS, json=server)
        asks = parse_qs(urlsplit(added.json()["authorization_url"]).query)
        document = (await http.get(f"{SERVERS}/client", headers={"Authorization": ""})).json()
        assert document["client_id"] == f"https://green.example/room{SERVERS}/client" == asks["client_id"][0]
        assert document["redirect_uris"] == [f"https://green.example/room{SERVERS}/authorized"] == asks["redirect_uri"]
        assert document["token_endpoint_auth_method"] == "none" and web.clients == []
    async with service() as http:
        added = await http.post(SERVERS, json=server)
        assert "client_id=client-1&" in added.json()["authorization_url"], "it registers itself"
        assert (await http.get(f"{SERVERS}/client")).status_code == 404
