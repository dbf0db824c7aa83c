"""Resources and prompts of servers: listed, read and made, in both eras, within bounds, whatever a server does."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import mcp
import pytest

from actors import McpInput
from actors.domain.mcp import McpServerConfig
from actors.domain.messages import ImageBlock, Role, TextBlock
from actors.errors import CommandConflict, InvalidRequest, McpRefused, McpServerNotFound, McpUnavailable
from actors.manager import SessionManager
from actors.mcp.library import McpLibrary
from actors.mcp.pages import MAX_PAGES
from actors.mcp.shown import plain
from tests.unit.local.runtimes import config, runtime, says
from tests.unit.mcp.servers import LIMIT_S, Connected, connected

HERE = Path(__file__).parent
CANARY = "canary-of-a-secret"


def library(kind: str, **more: Any) -> McpServerConfig:
    """The server that misbehaves in this way."""
    args = ["-I", "-S", str(HERE / "library_server.py"), kind]
    return McpServerConfig.model_validate(
        {"name": "lib", "transport": "stdio", "command": sys.executable, "args": args, "env": {"TOKEN": CANARY}, **more}
    )


@asynccontextmanager
async def opened(kind: str, **more: Any) -> AsyncGenerator[tuple[McpLibrary, Connected]]:
    async with connected(library(kind, **more)) as server:
        yield McpLibrary(server.connection), server


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which protocol is spoken with servers of the SDK: 2026-07-28, or 2025-11-25."""
    monkeypatch.setattr("mcp.Client", functools.partial(mcp.Client, mode=request.param))
    return request.param


async def test_resources_and_prompts_of_both_eras_are_listed_read_and_listed_anew_when_they_change(era: str) -> None:
    shelf = McpServerConfig.model_validate(
        {
            "name": "shelf",
            "transport": "stdio",
            "command": sys.executable,
            "args": [str(HERE / "shelf_server.py")],
        }
    )
    async with connected(shelf) as server:
        assert server.connection.modern is (era == "auto")
        books = McpLibrary(server.connection)
        listed = await books.resources()
        assert {one.uri: one.media_type for one in listed.items} == {
            "shelf://one": "text/plain",
            "shelf://bytes": "application/octet-stream",
        }
        assert [one.uri_template for one in listed.templates] == ["shelf://book/{title}"]
        assert [one.data for one in await books.read("shelf://book/Emma")] == [b"the book Emma"]
        (some_bytes,) = await books.read("shelf://bytes")
        assert (some_bytes.data, some_bytes.text) == (b"\0\1\2", None)
        (review,) = (await books.prompts()).items
        assert [(one.name, one.required) for one in review.arguments] == [("code", True)]
        made = await books.prompt("review", {"code": "x = 1"})
        assert made.as_input().text == "Review this: x = 1"
        with pytest.raises(McpRefused):
            await books.prompt("review", {})
        with pytest.raises(McpRefused):
            await books.read("shelf://nothing")
        assert (await server.call("grow")).content == "grown"
        # The word of a change comes by a way of its own in the newer era.
        assert await _until(lambda: _uris(books), "shelf://two") == {"shelf://one", "shelf://bytes", "shelf://two"}
        assert await _until(lambda: _names(books), "again") == {"review", "again"}


async def _uris(books: McpLibrary) -> set[str]:
    return {one.uri for one in (await books.resources()).items}


async def _names(books: McpLibrary) -> set[str]:
    return {one.name for one in (await books.prompts()).items}


async def _until(ask: Callable[[], Awaitable[set[str]]], wanted: str) -> set[str]:
    async with asyncio.timeout(LIMIT_S):
        while True:
            found = await ask()
            if wanted in found:
                return found
            await asyncio.sleep(0.01)


async def test_a_list_is_kept_only_where_the_server_says_when_it_changes() -> None:
    for kind, often in (("plain", ["list://1", "list://2"]), ("told", ["list://1", "list://1"])):
        async with opened(kind) as (books, _):
            seen = [(await books.resources()).items[-1].uri for _ in range(2)]
            assert seen == often


async def test_what_a_server_lists_is_checked_bounded_and_shown_without_secrets() -> None:
    async with opened("plain") as (books, _):
        listed = await books.resources()
        assert [one.uri for one in listed.items] == ["note://a", "bin://pixel", "bin://odd", "list://1"]
        assert listed.left_out == 2
        first, _, odd, _ = listed.items
        assert (first.name, first.size, len(first.description or "")) == ("a\nb", 5, 4096)
        assert (odd.media_type, odd.size) == (None, None)
        with pytest.raises(McpRefused, match=r"no such resource, says \*\*\*"):
            await books.read("note://b")
        with pytest.raises(McpRefused, match="base64"):
            await books.read("bin://broken")
        with pytest.raises(InvalidRequest, match="8192"):
            await books.read("x" * 10_000)


async def test_of_a_hundred_thousand_resources_a_part_is_listed_and_the_rest_can_be_asked_for() -> None:
    async with opened("crowd") as (books, _):
        first = await books.resources()
        assert (len(first.items), first.left_out, first.next) == (1000, 4000, "5000")
        second = await books.resources(first.next)
        assert second.items[0].uri == "many://5000"


async def test_a_list_without_an_end_and_one_that_goes_in_a_circle_are_cut_short() -> None:
    async with opened("endless") as (books, _):
        listed = await books.resources()
        assert (len(listed.items), listed.next) == (MAX_PAGES, str(MAX_PAGES))
    async with opened("circle") as (books, _):
        listed = await books.resources()
        assert (len(listed.items), listed.next) == (2, None)


async def test_a_list_that_changes_while_it_is_read_is_read_anew_and_not_kept() -> None:
    async with opened("moving") as (books, _):
        assert [one.uri for one in (await books.resources()).items] == ["many://20", "many://21", "many://22"]
        # It is not known whether what was read is still so.
        assert [one.uri for one in (await books.resources()).items] == ["many://30", "many://31", "many://32"]
        assert [one.uri for one in (await books.resources()).items] == ["many://30", "many://31", "many://32"]
        with pytest.raises(InvalidRequest, match="4096"):
            await books.resources("a cursor of nowhere at all" * 1000)


async def test_what_is_no_list_and_no_answer_is_told_and_ends_nothing_else() -> None:
    async with opened("odd") as (books, server):
        with pytest.raises(McpRefused, match="no valid answer"):
            await books.resources()
        with pytest.raises(McpRefused, match="no valid answer"):
            await books.prompt("odd", {})
        assert server.connection.tries == 1
    async with opened("silent", connect_timeout_s=1.0) as (books, _):
        with pytest.raises(McpUnavailable, match="1 s"):
            await books.resources()
        assert [one.data for one in await books.read("note://a")] == [b"alpha"]


async def test_a_resource_beyond_the_longest_message_is_told_and_the_server_connected_anew() -> None:
    async with opened("plain") as (books, server):
        with pytest.raises(McpUnavailable, match="8 MiB"):
            await books.read("bin://huge")
        await server.until(lambda: server.connection.tries == 2 and server.connection.status.connected)
        assert [one.data for one in await books.read("note://a")] == [b"alpha"]


async def test_a_prompt_becomes_one_input_that_says_who_speaks_and_holds_no_secret() -> None:
    async with opened("plain") as (books, _):
        talk = await books.prompt("talk", {})
        assert [message.role for message in talk.messages] == [Role.user, Role.assistant, Role.user]
        said = talk.as_input()
        assert isinstance(said.content[0], TextBlock) and isinstance(said.content[1], ImageBlock)
        assert said.content[0].text == "[user]\nHi.\n\n[assistant]\nHo.\n\n[user]\n"
        lies = await books.prompt("lies", {})
        assert lies.as_input().text == "token: ***\N{REPLACEMENT CHARACTER}\n\n[Image: image/png]"
        with pytest.raises(McpRefused, match="empty"):
            await books.prompt("empty", {})
        with pytest.raises(InvalidRequest, match="262144"):
            await books.prompt("greet", {"who": "x" * 300_000})


async def test_a_prompt_is_sent_as_the_input_of_a_turn_and_its_key_names_it_in_whatever_words() -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(library("plain"))
        one = await manager.create_session("a", config(says("Hello, Ada."), says("Once more.")))
        greeting = McpInput(server="LIB", prompt="greet", arguments={"who": "Ada"})
        result = await one.generate(greeting, command_id="k")
        assert (result.messages[0].text, result.text) == ("Greet Ada.", "Hello, Ada.")
        again = await manager.generate("a", greeting, command_id="k")
        assert again.text == "Hello, Ada."
        assert [message.role for message in await one.history()] == [Role.user, Role.assistant]

        # The server is not needed for what has an outcome already.
        await manager.remove_mcp_server("lib")
        assert (await one.generate(greeting, command_id="k")).text == "Hello, Ada."
        with pytest.raises(CommandConflict):
            await one.send(greeting.model_copy(update={"prompt": "talk"}), command_id="k")
        with pytest.raises(McpServerNotFound):
            await one.send(greeting, command_id="another")


async def test_a_session_asks_its_own_servers_and_the_shared_ones_and_nobody_asks_those_of_others() -> None:
    async with runtime() as manager:
        mine = await manager.create_session("mine")
        other = await manager.create_session("other")
        await mine.add_mcp_server(library("plain"))
        assert (await mine.read_mcp_resource("lib", "note://a"))[0].text == "alpha"
        assert (await manager.read_mcp_resource("lib", "note://a", session_id="mine"))[0].text == "alpha"
        for ask in (other.mcp_resources("lib"), manager.mcp_prompts("lib")):
            with pytest.raises(McpServerNotFound):
                await ask
        stranger = SessionManager(manager._runtime, manager.settings, "two")  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(McpServerNotFound):
            await stranger.get_mcp_prompt("lib", "greet", {"who": "Ada"})
        await manager.add_mcp_server(library("plain", name="off", enabled=False))
        with pytest.raises(McpUnavailable, match="disabled"):
            await mine.mcp_resources("off")


def test_short_values_of_a_server_s_environment_are_words_of_its_texts_too() -> None:
    assert plain("version 1.1, a test of canary-of-a-secret", ("canary-of-a-secret", "test", "1")) == (
        "version 1.1, a test of ***"
    )
