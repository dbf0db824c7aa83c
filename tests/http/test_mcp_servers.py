"""MCP servers over HTTP: added, listed, used and removed; what is refused, and that nobody is told a secret."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.manager import SessionManager
from serve_app.app import create_app
from tests.http.serving import Running, running
from tests.unit.mcp.servers import RAW

SERVERS = "/v1/mcp-servers"
CANARY = "canary-of-a-secret"


def server(name: str = "raw", **more: Any) -> dict[str, Any]:
    """A server that can be connected."""
    return {"name": name, "transport": "stdio", "command": sys.executable, "args": ["-I", "-S", RAW], **more}


def names(service: Running, **params: str) -> list[str]:
    return [one["name"] for one in service.http.get(SERVERS, params=params).json()["items"]]


def test_a_server_is_added_listed_used_and_removed(service: Running) -> None:
    added = service.http.post(SERVERS, json=server())
    assert added.status_code == 201
    assert added.json() == service.http.get(SERVERS).json()["items"][0]
    assert {name: added.json()[name] for name in ("state", "transport", "where", "session_id", "error")} == {
        "state": "connected",
        "transport": "stdio",
        "where": sys.executable,
        "session_id": None,
        "error": None,
    }
    assert added.json()["tool_count"] > 1
    service.create(permission_policy={"allow": ["mcp__raw"]})
    assert "3" in service.ask('/tool mcp__raw__add {"a": 1, "b": 2}\ndone').text
    assert service.http.delete(f"{SERVERS}/RAW").json() == {"changed": True}
    assert service.http.delete(f"{SERVERS}/raw").json() == {"changed": False}
    assert names(service) == []


def test_a_server_of_one_session_is_seen_there_alone_and_its_name_is_taken_for_all(service: Running) -> None:
    service.create("mine")
    service.create("other")
    added = service.http.post(SERVERS, params={"session_id": "mine"}, json=server(enabled=False))
    assert (added.status_code, added.json()["session_id"], added.json()["state"]) == (201, "mine", "disabled")
    assert (names(service), names(service, session_id="other")) == ([], [])
    assert names(service, session_id="mine") == ["raw"]
    taken = service.http.post(SERVERS, json=server("Raw"))
    assert (taken.status_code, taken.json()["code"], taken.json()["name"]) == (409, "McpServerExists", "raw")
    assert service.http.delete(f"{SERVERS}/raw").json() == {"changed": False}
    assert service.http.delete(f"{SERVERS}/raw", params={"session_id": "mine"}).json() == {"changed": True}
    assert service.http.post(SERVERS, json=server(enabled=False)).status_code == 201


def test_a_server_that_cannot_be_reached_is_added_and_says_why(service: Running) -> None:
    added = service.http.post(SERVERS, json={"name": "gone", "transport": "stdio", "command": "/no/such/program"})
    assert (added.status_code, added.json()["state"]) == (201, "reconnecting")
    assert "could not be started" in added.json()["error"]


def test_a_server_of_a_session_that_is_not_there_is_neither_added_listed_nor_removed(shared: Running) -> None:
    nobody = {"session_id": "nobody"}
    answers = [
        shared.http.post(SERVERS, params=nobody, json=server()),
        shared.http.get(SERVERS, params=nobody),
        shared.http.delete(f"{SERVERS}/raw", params=nobody),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(404, "SessionNotFound")] * 3
    assert shared.http.get(SERVERS, params={"session_id": "a b"}).status_code == 422
    assert shared.http.delete(f"{SERVERS}/{'n' * 33}").status_code == 422


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "name"),
        (server("two__bars"), "name"),
        (server(transport="carrier-pigeon"), "stdio, http"),
        ({"name": "a", "transport": "http", "url": f"ftp://user:{CANARY}@host"}, "url"),
        ({"name": "a", "transport": "http", "url": "http://x", "headers": {"A": f"{CANARY}\n"}}, "headers"),
        (server(env={"A=B": CANARY}), "env"),
        (server(env={"LD_PRELOAD": CANARY}), "env"),
        (server(oauth={"access_token": CANARY}), "oauth"),
        (server(tool_timeout_s=0), "tool_timeout_s"),
        (server(nobody_knows=CANARY), "nobody_knows"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_and_says_where_without_its_secrets(
    shared: Running, body: dict[str, Any], where: str
) -> None:
    refused = shared.http.post(SERVERS, json=body)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert where in refused.text and CANARY not in refused.text
    assert names(shared) == []


def test_secrets_are_in_no_answer_and_are_asked_for_again_after_a_restart(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'greenroom.db'}"
    web = {
        "name": "web",
        "transport": "http",
        "url": f"http://user:{CANARY}@127.0.0.1:9/mcp?key={CANARY}",
        "headers": {"Authorization": f"Bearer {CANARY}"},
        "oauth": {"access_token": CANARY},
    }
    with running(store=store, workspace=str(tmp_path)) as service:
        told = [service.http.post(SERVERS, json=one).text for one in (server(env={"TOKEN": CANARY}), web)]
        told.append(service.http.get(SERVERS).text)
        assert service.http.get(SERVERS).json()["items"][1]["where"] == "http://127.0.0.1:9/mcp"
    assert not [file for file in tmp_path.iterdir() if file.is_file() and CANARY.encode() in file.read_bytes()]
    with running(store=store, workspace=str(tmp_path)) as service:
        listed = service.http.get(SERVERS)
        assert [one["state"] for one in listed.json()["items"]] == ["needs_secrets"] * 2
        again = service.http.post(SERVERS, json=server(env={"TOKEN": CANARY}))
        assert again.json()["state"] == "connected"
        told += [listed.text, again.text]
    assert not [answer for answer in told if CANARY in answer]


@asynccontextmanager
async def of_tenant(manager: SessionManager) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a service for one tenant."""

    async def manager_of() -> SessionManager:
        return manager

    app = httpx.ASGITransport(create_app(manager_of))  # pyright: ignore[reportArgumentType] - it is an application
    async with httpx.AsyncClient(transport=app, base_url="http://127.0.0.1") as client:
        yield client


async def test_a_tenant_neither_sees_nor_removes_what_another_has_added() -> None:
    async with await SessionManager.local("scripted/prompt", tenant="one") as manager:
        other = SessionManager(manager._runtime, manager.settings, "two")  # pyright: ignore[reportPrivateUsage]
        async with of_tenant(manager) as mine, of_tenant(other) as theirs:
            await mine.post("/v1/sessions", json={"session_id": "s"})
            await mine.post(SERVERS, json=server(enabled=False))
            await mine.post(SERVERS, params={"session_id": "s"}, json=server("own", enabled=False))
            assert (await theirs.get(SERVERS)).json() == {"items": []}
            assert (await theirs.get(SERVERS, params={"session_id": "s"})).status_code == 404
            assert (await theirs.delete(f"{SERVERS}/raw")).json() == {"changed": False}
            assert (await theirs.delete(f"{SERVERS}/own", params={"session_id": "s"})).status_code == 404
            assert (await theirs.post(SERVERS, json=server(enabled=False))).status_code == 201
            listed = (await mine.get(SERVERS, params={"session_id": "s"})).json()["items"]
            assert [one["name"] for one in listed] == ["own", "raw"]


def test_the_description_says_what_a_server_is_and_which_of_its_values_are_secret(shared: Running) -> None:
    described = shared.http.get("/openapi.json").json()
    assert set(described["paths"][SERVERS]) == {"get", "post"}
    assert set(described["paths"][f"{SERVERS}/{{name}}"]) == {"delete"}
    schemas = described["components"]["schemas"]
    assert schemas["McpServerConfig"]["properties"]["env"]["additionalProperties"]["writeOnly"] is True
    assert not {"env", "headers", "oauth"} & schemas["McpStatus"]["properties"].keys()
