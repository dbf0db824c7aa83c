"""``web_fetch`` and ``web_search``: what is public, how much of it, and nothing of the machine's own network."""

from __future__ import annotations

import gzip
import ipaddress
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from actors.domain.calls import ToolOutcome
from actors.errors import InvalidConfig, ToolError
from actors.tools.base import MAX_OUTPUT_BYTES
from actors.tools.web.addresses import NotPublic, checked_url, is_public, opened
from actors.tools.web.fetch import WebFetchTool
from actors.tools.web.fetching import MAX_BYTES, MAX_REDIRECTS, Fetcher
from actors.tools.web.search import SearchHit, SearXNG, WebSearchTool, search_provider

from .conftest import MakeContext

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PAGE = """<html><head><title>Apples</title><style>p {}</style></head><body><script>evil()</script>
<h1>On apples</h1><p>Apples are <b>round</b>, see <a href="/pears">pears</a>.</p><ul><li>red</li></ul></body></html>"""


@asynccontextmanager
async def serving(**handlers: Handler) -> AsyncGenerator[str]:
    app = web.Application()
    for name, handler in handlers.items():
        app.router.add_get(f"/{name}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answers(
    body: str | bytes, kind: str = "text/html; charset=utf-8", status: int = 200, *, encoding: str = "identity"
) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        data = body.encode() if isinstance(body, str) else body
        return web.Response(body=data, status=status, headers={"Content-Type": kind, "Content-Encoding": encoding})

    return handler


def goes_to(where: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": where})

    return handler


def _here(address: Any) -> bool:
    return str(address) == "127.0.0.1"


@pytest.fixture
def fetch(context: MakeContext) -> Callable[..., Awaitable[ToolOutcome]]:
    """Fetch with a tool that may connect to 127.0.0.1, and to nothing else."""
    tool = WebFetchTool(Fetcher(allowed=_here))
    return lambda url, **args: tool.run({"url": url, **args}, context())


async def test_a_page_is_read_as_markdown_text_or_source(fetch: Callable[..., Awaitable[ToolOutcome]]) -> None:
    async with serving(page=answers(PAGE)) as url:
        markdown = await fetch(f"{url}/page")
        text = await fetch(f"{url}/page", format="text")
        source = await fetch(f"{url}/page", format="html")
    assert markdown.content.startswith("# Apples\n\n# On apples\n\nApples are **round**, see [pears](/pears).")
    assert "evil" not in markdown.content + text.content
    assert "Apples are\nround\n, see\npears\n." in text.content
    assert source.content == PAGE
    assert markdown.metadata == {"url": f"{url}/page", "status": 200, "media_type": "text/html"}


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ('{"a": 1}', "application/json", '{"a": 1}'),
        ("plain", "text/plain", "plain"),
        ("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", "Grüße"),
        ("Grüße".encode(), "text/plain; charset=no-such-thing", "Grüße"),
        (b"\xff\xfe ok", "text/plain", "\ufffd\ufffd ok"),
        ('<meta charset="iso-8859-1"><p>Gr\u00fc\u00dfe'.encode("latin-1"), "text/html", "Grüße"),
    ],
)
async def test_text_is_read_in_its_own_encoding(
    fetch: Callable[..., Awaitable[ToolOutcome]], body: str | bytes, kind: str, told: str
) -> None:
    async with serving(page=answers(body, kind)) as url:
        assert (await fetch(f"{url}/page")).content == told


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"\x89PNG\r\n", "image/png"), (b"a\0b", "text/plain"), (b"%PDF", "application/pdf")],
)
async def test_what_is_no_text_is_refused_by_what_it_is(
    fetch: Callable[..., Awaitable[ToolOutcome]], body: bytes, kind: str
) -> None:
    async with serving(page=answers(body, kind)) as url:
        with pytest.raises(ToolError, match="no text"):
            await fetch(f"{url}/page")


async def test_a_long_page_is_read_on_with_offset(fetch: Callable[..., Awaitable[ToolOutcome]]) -> None:
    async with serving(page=answers("0123456789" * 3, "text/plain")) as url:
        first = await fetch(f"{url}/page", max_chars=12)
        last = await fetch(f"{url}/page", offset=24, max_chars=12)
        with pytest.raises(ToolError, match="past its end"):
            await fetch(f"{url}/page", offset=30)
    assert first.content == "012345678901\n\n[18 more characters: read on with offset 12]"
    assert last.content == "456789"


async def test_nothing_is_larger_than_what_a_result_may_be(fetch: Callable[..., Awaitable[ToolOutcome]]) -> None:
    async with serving(page=answers("ü" * 100_000, "text/plain; charset=utf-8")) as url:
        told = (await fetch(f"{url}/page", max_chars=MAX_OUTPUT_BYTES)).content
    assert len(told.encode()) <= MAX_OUTPUT_BYTES
    shown = told.partition("\n\n[")[0]
    assert f"offset {len(shown)}]" in told


async def test_a_flood_is_cut_also_when_it_comes_packed(fetch: Callable[..., Awaitable[ToolOutcome]]) -> None:
    packed = gzip.compress(b"a" * (MAX_BYTES * 4))
    async with serving(page=answers(packed, "text/plain", encoding="gzip")) as url:
        told = (await fetch(f"{url}/page")).content
    assert "its end was not read" in told


async def test_a_server_that_hangs_or_breaks_off_is_an_error(
    fetch: Callable[..., Awaitable[ToolOutcome]], context: MakeContext
) -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100", "Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"some")
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(breaks=breaks) as url:
        with pytest.raises(ToolError, match="cannot be had"):
            await fetch(f"{url}/breaks")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(ToolError, match="no whole answer"):
            await WebFetchTool(Fetcher(allowed=_here)).run(
                {"url": f"http://127.0.0.1:{silent.getsockname()[1]}/"}, context(timeout_s=0.2)
            )
    with pytest.raises(ToolError, match="cannot be had"):
        await fetch(f"{url}/gone")


async def test_an_error_of_the_server_is_told_with_its_words(fetch: Callable[..., Awaitable[ToolOutcome]]) -> None:
    async with serving(page=answers("no such apple", "text/plain", status=404)) as url:
        with pytest.raises(ToolError, match="404.*no such apple"):
            await fetch(f"{url}/page")


# --- where it may go ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "fec0::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2001:db8::1",
        "192.0.2.1",
    ],
)
def test_addresses_of_machines_and_private_networks_are_not_public_however_they_are_wrapped(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(ToolError, match="public internet"):
        checked_url(f"http://[{address}]/" if ":" in address else f"http://{address}/")


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_others_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com",
        "//example.com",
        "example.com",
        "http://",
        "http://user:secret@example.com/",
        "http://[::1",
        "http://example.com:99999/",
        "http://example.com/" + "a" * 2100,
    ],
)
def test_other_urls_are_refused_without_a_word_of_theirs(url: str) -> None:
    with pytest.raises(ToolError) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)


THIS_MACHINE = [
    "localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "0",
    "[::ffff:127.0.0.1]",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "\u2460\u2461\u2466.0.0.1",
]
"""Spellings of 127.0.0.1: by name, as numbers, and in characters that a URL parser turns into digits and dots."""


@pytest.mark.parametrize("name", THIS_MACHINE)
async def test_no_spelling_of_this_machine_is_connected_to(context: MakeContext, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        with pytest.raises(ToolError):
            await WebFetchTool().run({"url": f"http://{name}:{server.getsockname()[1]}/", "timeout": 5}, context())
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_redirect_to_such_a_spelling_is_not_followed_either(context: MakeContext) -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        async with serving(go=goes_to(f"http://\uff11\uff12\uff17.0.0.2:{port}/")) as url:
            with pytest.raises(ToolError, match="public internet"):
                await WebFetchTool(Fetcher(allowed=_here)).run({"url": f"{url}/go"}, context())
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_socket_is_made_for_an_allowed_address_only() -> None:
    stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    for address in ("10.0.0.1", "169.254.169.254", "not-an-address"):
        with pytest.raises(NotPublic, match=address):
            opened((*stream, (address, 80)), is_public)
    opened((*stream, ("93.184.216.34", 80)), is_public).close()


async def test_a_redirect_into_the_private_network_is_not_followed(
    fetch: Callable[..., Awaitable[ToolOutcome]],
) -> None:
    for where in ("http://10.0.0.1/", "http://[::1]/", "file:///etc/passwd", "http://a:b@127.0.0.1/"):
        async with serving(go=goes_to(where)) as url:
            with pytest.raises(ToolError, match="public internet|http and https|credentials"):
                await fetch(f"{url}/go")


async def test_redirects_are_followed_so_many_times(fetch: Callable[..., Awaitable[ToolOutcome]]) -> None:
    count = 0

    async def loop(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return web.Response(status=307, headers={"Location": "/loop"})

    async with serving(go=goes_to("/page"), page=answers("there", "text/plain"), loop=loop) as url:
        assert (await fetch(f"{url}/go")).metadata["url"] == f"{url}/page"
        with pytest.raises(ToolError, match="redirects"):
            await fetch(f"{url}/loop")
    assert count == MAX_REDIRECTS + 1


# --- search ----------------------------------------------------------------------------------------------------------


class Library:
    """A provider of results."""

    async def search(self, query: str, *, limit: int, timeout_s: float) -> Sequence[SearchHit]:
        """Two results, one of them twice."""
        del limit, timeout_s
        apples = SearchHit("Apples\n of  old", "https://a.example/", "s" * 600)
        return [apples, SearchHit("", "https://b.example/"), apples._replace(title=query)]


async def test_results_are_numbered_once_each_and_shortened(context: MakeContext) -> None:
    outcome = await WebSearchTool(Library()).run({"query": "apples"}, context())
    assert outcome.content == (
        f"1. Apples of old\n   https://a.example/\n   {'s' * 500}\n\n2. https://b.example/\n   https://b.example/"
    )
    assert (await WebSearchTool(Library()).run({"query": "x", "limit": 1}, context())).metadata == {"results": 1}


async def test_without_a_provider_the_call_says_how_to_get_one(context: MakeContext) -> None:
    with pytest.raises(ToolError, match="GREENROOM_WEB_SEARCH"):
        await WebSearchTool().run({"query": "apples"}, context())


async def test_searxng_is_asked_and_its_answers_are_read(context: MakeContext) -> None:
    asked: list[dict[str, str]] = []

    async def search(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        return web.json_response({"results": [{"title": "A", "url": "https://a.example/", "content": None}]})

    async with serving(search=search) as url:
        outcome = await WebSearchTool(SearXNG(f"{url}/")).run({"query": "apples & pears"}, context())
    assert asked == [{"q": "apples & pears", "format": "json"}]
    assert outcome.content == "1. A\n   https://a.example/"


@pytest.mark.parametrize("body", ["<html>", '{"results": {}}', '{"results": [7]}', "[]", "{}"])
async def test_an_answer_that_is_none_is_an_error(context: MakeContext, body: str) -> None:
    async with serving(search=answers(body, "application/json")) as url:
        with pytest.raises(ToolError, match="no list of results|Nothing"):
            outcome = await WebSearchTool(SearXNG(url)).run({"query": "x"}, context())
            raise ToolError(outcome.content)


def test_a_provider_is_named_by_url_or_import_string() -> None:
    assert search_provider(None) is None
    assert isinstance(search_provider("https://search.example"), SearXNG)
    assert isinstance(search_provider("tests.unit.tools.test_web:Library"), Library)
    for wrong in ("nothing", "no.such.module:x", "tests.unit.tools.test_web:PAGE", "tests.unit.tools.test_web:nothing"):
        with pytest.raises(InvalidConfig):
            search_provider(wrong)
