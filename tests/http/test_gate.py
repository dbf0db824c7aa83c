"""What stands in front of every route, over a small application of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from serve_app.auth import Keyring
from serve_app.middleware import Gate

_JSON = {"Content-Type": "application/json"}


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    if scope["path"] == "/broken":
        raise RuntimeError("password=hunter2")
    body = await request.body()
    response: Response = JSONResponse({"bytes": len(body), "text": body[:20].decode()})
    await response(scope, receive, send)


def _client(*keys: str, max_body: int = 100) -> httpx.AsyncClient:
    gate = Gate(_echo, Keyring.of(SecretStr(key) for key in keys), max_body)
    return httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://127.0.0.1:8000")


def _code(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://localhost:3000"}, {"Host": "[::1]:8000"}])
async def test_without_keys_this_machine_may_ask(headers: dict[str, str]) -> None:
    async with _client() as client:
        assert (await client.get("/v1/x", headers=headers)).status_code == 200


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
@pytest.mark.parametrize("path", ["/", "/v1/x", "/healthz"])
async def test_without_keys_foreign_names_and_pages_are_refused_everywhere(headers: dict[str, str], path: str) -> None:
    async with _client() as client:
        assert _code(await client.get(path, headers=headers)) == (403, "ForeignOrigin")


async def test_with_keys_only_a_token_counts() -> None:
    async with _client("k1") as client:
        assert _code(await client.get("/v1/x")) == (401, "Unauthorized")
        assert _code(await client.get("/v1/x", headers={"Authorization": "Bearer k2"})) == (401, "Unauthorized")
        granted = await client.get("/v1/x", headers={"Authorization": "Bearer k1", "Host": "greenroom.example"})
        assert granted.status_code == 200


@pytest.mark.parametrize("path", ["/", "/console/app.js", "/healthz", "/readyz", "/openapi.json"])
async def test_with_keys_the_page_and_the_probes_stay_open(path: str) -> None:
    async with _client("k1") as client:
        assert (await client.get(path)).status_code == 200


async def test_a_body_up_to_the_limit_arrives_whole() -> None:
    async with _client() as client:
        response = await client.post("/", content=b"x" * 100, headers=_JSON)

    assert response.json()["bytes"] == 100


async def test_a_longer_body_is_refused() -> None:
    async with _client() as client:
        assert _code(await client.post("/", content=b"x" * 101, headers=_JSON)) == (413, "BodyTooLarge")


async def test_a_body_of_undeclared_length_is_counted() -> None:
    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 10

    headers = {**_JSON, "Transfer-Encoding": "chunked"}
    async with _client() as client:
        assert (await client.post("/", content=pieces(10), headers=headers)).json()["bytes"] == 100
        assert _code(await client.post("/", content=pieces(11), headers=headers)) == (413, "BodyTooLarge")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_is_not_json_is_refused(media_type: str) -> None:
    async with _client() as client:
        response = await client.post("/", content=b"{}", headers={"Content-Type": media_type})

    assert _code(response) == (415, "NotJson")


async def test_an_unexpected_failure_is_a_problem_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async with _client() as client:
        response = await client.get("/broken")

    assert _code(response) == (500, "InternalError")
    assert "hunter2" not in response.text
    assert "GET /broken" in caplog.text


async def test_every_answer_has_the_security_headers() -> None:
    async with _client() as client:
        answers: list[Any] = [await client.get("/"), await client.get("/broken"), await client.post("/", content=b"x")]

    assert {answer.headers["x-content-type-options"] for answer in answers} == {"nosniff"}
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
