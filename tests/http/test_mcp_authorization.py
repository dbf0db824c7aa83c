"""MCP servers that people have to authorize, over HTTP: the page in the status, and browsers that come back from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from actors.manager import SessionManager
from serve_app.app import create_app
from serve_app.auth import Keyring
from tests.unit.mcp.auth_server import AuthServer

SERVERS = "/v1/mcp-servers"


@pytest.fixture
async def web() -> AsyncGenerator[AuthServer]:
    async with AuthServer().serving() as both:
        yield both


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with await SessionManager.local("scripted/prompt") as manager:

        async def manager_of() -> SessionManager:
            return manager

        app: Any = create_app(manager_of, Keyring.of([SecretStr("key")]))
        transport = httpx.ASGITransport(app)
        key = {"Authorization": "Bearer key"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=key) as client:
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
