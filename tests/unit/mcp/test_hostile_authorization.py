"""Servers that lie about their authorization: led elsewhere, flooded, sent round in circles; bounded, and told why."""

from __future__ import annotations

import gzip
import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpcore2
import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from actors.domain.mcp import McpServerConfig, McpState, McpStatus
from actors.mcp.network import Reach
from tests.unit.local.runtimes import runtime
from tests.unit.mcp.auth_server import METADATA, RESOURCE, AuthServer
from tests.unit.mcp.servers import connected


@pytest.fixture
async def web() -> AsyncGenerator[AuthServer]:
    async with AuthServer().serving() as both:
        yield both


async def attempt(web: AuthServer, **oauth: Any) -> McpStatus:
    """How the server stands after the first attempt to connect."""
    config = {"name": "web", "transport": "http", "url": f"{web.url}/mcp", "oauth": oauth or None}
    async with connected(McpServerConfig.model_validate(config)) as one:
        return one.connection.status


async def refused(web: AuthServer, told: str, **oauth: Any) -> None:
    status = await attempt(web, **oauth)
    assert (status.state, status.authorization_url) == (McpState.reconnecting, None)
    assert told in (status.error or ""), status.error


@pytest.mark.parametrize(
    "place", ["http://169.254.169.254/latest", "http://10.0.0.1/", "https://[fd00::1]/", "https://[::ffff:10.0.0.1]/"]
)
async def test_documents_are_not_fetched_from_the_network_of_the_service(web: AuthServer, place: str) -> None:
    web.challenge = f'resource_metadata="{place}"'
    await refused(web, "is no address of the public internet")


async def test_a_public_authorization_server_is_not_talked_to_without_encryption(web: AuthServer) -> None:
    web.resource = {"authorization_servers": ["http://93.184.215.14/"]}
    await refused(web, "not reached without encryption")


async def test_tokens_and_registrations_are_sent_to_no_private_address(web: AuthServer) -> None:
    web.metadata = {"registration_endpoint": "https://192.168.1.1/register"}
    await refused(web, "192.168.1.1 is no address of the public internet")


async def test_a_resource_or_an_issuer_that_is_somebody_else_s_is_refused(web: AuthServer) -> None:
    web.resource = {"resource": "https://other.example/mcp"}
    await refused(web, "does not match")
    web.resource, web.metadata = {}, {"issuer": "https://other.example"}
    await refused(web, "issuer mismatch")


async def test_credentials_go_to_the_issuer_that_they_are_for_and_to_no_other(web: AuthServer) -> None:
    mine = {"client_id": "id", "client_secret": "secret-canary", "issuer": "https://mine.example"}
    await refused(web, "its configuration to the issuer https://mine.example", **mine)
    await refused(web, "issuer", grant="client_credentials", **mine)
    assert (web.asked, web.clients) == ([], [])


async def test_documents_that_are_too_long_are_cut_short(web: AuthServer) -> None:
    async def long() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b"data: " + b"x" * 65_000

    for path in (RESOURCE, METADATA):
        web.answers = {path: StreamingResponse(long(), media_type="text/event-stream")}
        await refused(web, "larger than 256 KiB")
    web.answers |= {RESOURCE: RedirectResponse(METADATA)}
    web.answers[METADATA] = StreamingResponse(long(), media_type="text/event-stream")
    await refused(web, "larger than 256 KiB")
    web.answers = {METADATA: JSONResponse({"issuer": "x" * 300_000})}
    await refused(web, "larger than 256 KiB")


async def test_what_is_small_only_while_it_is_packed_is_not_unpacked(web: AuthServer) -> None:
    packed = gzip.compress(b"0" * 5_000_000)
    web.answers = {RESOURCE: Response(packed, headers={"Content-Encoding": "gzip"})}
    await refused(web, "compressed")


async def test_documents_are_not_followed_to_another_origin_nor_in_circles(web: AuthServer) -> None:
    web.answers = {RESOURCE: RedirectResponse("http://169.254.169.254/"), METADATA: RedirectResponse(METADATA)}
    status = await attempt(web)
    # It has no documents then, and is taken for a server of before they were invented.
    assert status.authorization_url is not None and status.authorization_url.startswith(f"{web.url}/authorize?")


async def test_a_page_whose_address_is_no_address_is_not_shown(web: AuthServer) -> None:
    web.metadata = {"authorization_endpoint": "javascript:alert(1)"}
    status = await attempt(web)
    assert (status.authorization_url or "http").startswith("http")
    web.metadata = {"authorization_endpoint": f"{web.url}/{'x' * 9000}"}
    await refused(web, "more than 8192 characters")


async def test_registrations_that_are_none_are_refused(web: AuthServer) -> None:
    web.answers = {"/register": JSONResponse({"client_id": 7}, 201)}
    await refused(web, "Invalid registration response")
    web.answers = {"/register": JSONResponse({"client_id": "x", "token_endpoint_auth_method": "magic"}, 201)}
    await refused(web, "unsupported token_endpoint_auth_method")


async def test_each_server_has_a_page_of_its_own(web: AuthServer) -> None:
    config = McpServerConfig.model_validate({"name": "web", "transport": "http", "url": f"{web.url}/mcp"})
    async with runtime() as manager:
        one = await manager.add_mcp_server(config)
        two = await manager.add_mcp_server(config.model_copy(update={"name": "again"}))
        assert one.authorization_url != two.authorization_url


@pytest.mark.parametrize(
    ("server", "host", "plain", "reached"),
    [
        ("http://127.0.0.1:1/mcp", "127.0.0.1", False, True),
        ("http://127.0.0.1:1/mcp", "::1", True, True),
        ("http://127.0.0.1:1/mcp", "10.0.0.1", False, False),
        ("http://10.0.0.2/mcp", "10.0.0.1", True, True),
        ("http://10.0.0.2/mcp", "127.0.0.1", False, False),
        ("http://10.0.0.2/mcp", "169.254.169.254", False, False),
        ("http://10.0.0.2/mcp", "0.0.0.0", False, False),
        ("http://10.0.0.2/mcp", "::ffff:127.0.0.1", False, False),
        ("http://10.0.0.2/mcp", "::ffff:169.254.169.254", False, False),
        ("https://8.8.8.8/mcp", "1.1.1.1", False, True),
        ("https://8.8.8.8/mcp", "1.1.1.1", True, False),
        ("https://8.8.8.8/mcp", "8.8.8.8", False, True),
        ("https://8.8.8.8/mcp", "127.0.0.1", False, False),
        ("https://8.8.8.8/mcp", "172.16.0.1", False, False),
        ("https://8.8.8.8/mcp", "100.64.0.1", False, False),
        ("https://8.8.8.8/mcp", "::ffff:127.0.0.1", False, False),
        ("https://8.8.8.8/mcp", "64:ff9b::7f00:1", False, False),
    ],
)
async def test_what_a_server_leads_to_is_public_or_as_near_as_itself(
    server: str, host: str, plain: bool, reached: bool
) -> None:
    reach = Reach(server)
    if reached:
        assert await reach.addresses(host, 443, plain=plain) == [str(ipaddress.ip_address(host))]
    else:
        with pytest.raises(httpcore2.ConnectError):
            await reach.addresses(host, 443, plain=plain)


@pytest.mark.parametrize("later", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"]])
async def test_a_server_on_the_internet_does_not_become_near_by_what_its_name_resolves_to(
    monkeypatch: pytest.MonkeyPatch, later: list[str]
) -> None:
    names = {"evil.example": ["8.8.8.8"], "inside.evil.example": ["127.0.0.1"]}

    async def resolved(host: str, port: int) -> list[Any]:
        return [ipaddress.ip_address(one) for one in names.get(host, [host])]

    monkeypatch.setattr("actors.mcp.network._resolved", resolved)
    reach = Reach("https://evil.example/mcp")
    assert await reach.addresses("evil.example", 443) == ["8.8.8.8"]
    names["evil.example"] = later
    for host in ("127.0.0.1", "inside.evil.example"):
        with pytest.raises(httpcore2.ConnectError):
            await reach.addresses(host, 22)
    if "8.8.8.8" in later:
        assert await reach.addresses("evil.example", 443) == ["8.8.8.8"]
    else:
        with pytest.raises(httpcore2.ConnectError):
            await reach.addresses("evil.example", 443)


async def test_where_the_configuration_leads_is_reached_wherever_it_is() -> None:
    reach = Reach("https://8.8.8.8/mcp", ["http://10.0.0.1:8080/token"])
    assert await reach.addresses("10.0.0.1", 8080, plain=True) == ["10.0.0.1"]
    with pytest.raises(httpcore2.ConnectError):
        await reach.addresses("10.0.0.1", 22)
