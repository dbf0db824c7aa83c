"""Servers that people have to authorize: pages, what comes back, tokens that are renewed or widened, and no secrets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.responses import Response

from actors.domain import records as r
from actors.domain.actions import Action
from actors.domain.mcp import McpServerConfig, McpState, McpStatus
from actors.domain.mcp_oauth import DEFAULT_REDIRECT
from actors.errors import AuthorizationNotFound, InvalidRequest
from actors.handle import SessionHandle
from actors.manager import SessionManager
from tests.unit.local.runtimes import calls, config, record_of, result_texts, runtime, says
from tests.unit.mcp.auth_server import METADATA, RESOURCE, AuthServer

ADD = calls(("mcp__web__add", {"a": 1, "b": 2}))
ADMIN = calls(("mcp__web__admin", {}))
LIMIT_S = 20.0


@pytest.fixture
async def web() -> AsyncGenerator[AuthServer]:
    async with AuthServer().serving() as both:
        yield both


def at(web: AuthServer, **more: Any) -> McpServerConfig:
    return McpServerConfig.model_validate({"name": "web", "transport": "http", "url": f"{web.url}/mcp", **more})


async def look(manager: SessionManager, true: Callable[[McpStatus], bool]) -> McpStatus:
    """The server's status, once it is as wanted: nothing but looking tells of it."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            if true(status := (await manager.mcp_status())["web"]):
                return status
            await asyncio.sleep(0.01)


async def until(manager: SessionManager, state: McpState) -> McpStatus:
    return await look(manager, lambda status: status.state is state)


async def page(manager: SessionManager, *, but: str | None = None) -> str:
    """The page that somebody has to visit, another than a former one."""
    status = await look(manager, lambda status: status.authorization_url not in (None, but))
    assert status.authorization_url is not None
    return status.authorization_url


@asynccontextmanager
async def authorized(web: AuthServer, **more: Any) -> AsyncGenerator[SessionManager]:
    """A runtime whose server somebody has authorized."""
    async with runtime() as manager:
        await manager.add_mcp_server(at(web, **more))
        await manager.finish_mcp_authorization(await web.agree(await page(manager)))
        await until(manager, McpState.connected)
        yield manager


async def question(session: SessionHandle, nth: int = 1) -> Action:
    await record_of(session, r.ActionRequested, count=nth)
    (action,) = await session.actions()
    return action


async def test_a_server_says_which_page_to_visit_and_is_connected_once_somebody_has_agreed(web: AuthServer) -> None:
    async with runtime() as manager:
        status = await manager.add_mcp_server(at(web))
        assert (status.state, status.error) == (McpState.needs_authorization, None)
        assert status.authorization_url is not None
        asks = {name: value[0] for name, value in parse_qs(urlsplit(status.authorization_url).query).items()}
        assert asks["client_id"] == "client-1" and asks["resource"] == f"{web.url}/mcp"
        assert (asks["redirect_uri"], asks["code_challenge_method"]) == (DEFAULT_REDIRECT, "S256")
        assert (asks["scope"], len(asks["state"]) > 30) == ("use", True)
        one = await manager.create_session("a", config(ADD, says("Later.")))
        assert "Unknown tool" in result_texts((await one.generate("go")).messages)[0]
        back = await web.agree(status.authorization_url)
        assert (await manager.finish_mcp_authorization(back)).name == "web"
        status = await until(manager, McpState.connected)
        assert status.authorization_url is None
        assert result_texts((await one.generate("go")).messages)[-1] == "3"


async def test_a_server_over_sse_is_authorized_too(web: AuthServer) -> None:
    web.resource = {"resource": web.url}
    server = McpServerConfig.model_validate({"name": "web", "transport": "sse", "url": f"{web.url}/sse"})
    async with runtime() as manager:
        await manager.add_mcp_server(server)
        await manager.finish_mcp_authorization(await web.agree(await page(manager)))
        await until(manager, McpState.connected)
        one = await manager.create_session("a", config(ADD, says("Three.")))
        web.tokens.clear()
        assert result_texts((await one.generate("go")).messages) == ["3"]


async def test_a_configuration_that_names_the_places_asks_the_server_for_none(web: AuthServer) -> None:
    web.answers = dict.fromkeys((RESOURCE, METADATA, "/register"), Response(status_code=500))
    places = {"auth_url": f"{web.url}/authorize", "token_url": f"{web.url}/token"}
    async with authorized(web, oauth=places | {"client_id": "mine", "scopes": ["use"]}) as manager:
        one = await manager.create_session("a", config(ADD, says("Three.")))
        web.tokens.clear()
        assert result_texts((await one.generate("go")).messages) == ["3"]
        assert [form["client_id"] for form in web.asked] == ["mine", "mine"]


async def test_what_the_url_of_a_server_has_beside_its_address_is_not_in_the_page_s(web: AuthServer) -> None:
    config = {"name": "web", "transport": "http", "url": f"{web.url}/mcp?key=url-canary"}
    async with runtime() as manager:
        status = await manager.add_mcp_server(McpServerConfig.model_validate(config))
        assert status.state is McpState.needs_authorization and "url-canary" not in status.model_dump_json()
        await manager.finish_mcp_authorization(await web.agree(status.authorization_url or ""))
        await until(manager, McpState.connected)
        assert "url-canary" not in str(web.asked + web.clients)


async def test_what_comes_back_is_taken_once_from_the_tenant_and_by_the_state_of_the_page(web: AuthServer) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(at(web))
        back = await web.agree(await page(manager))
        other = SessionManager(manager._runtime, manager.settings, "other")  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(AuthorizationNotFound):
            await other.finish_mcp_authorization(back)
        with pytest.raises(AuthorizationNotFound):
            await manager.finish_mcp_authorization(back.replace("state=", "state=x"))
        for nonsense in ("", "nothing", f"{DEFAULT_REDIRECT}?code=1", f"{DEFAULT_REDIRECT}?state=1", "x" * 20_000):
            with pytest.raises(InvalidRequest):
                await manager.finish_mcp_authorization(nonsense)
        await manager.finish_mcp_authorization(back)
        with pytest.raises(AuthorizationNotFound, match="authorization_url"):
            await manager.finish_mcp_authorization(back)
        await until(manager, McpState.connected)


async def test_who_does_not_agree_is_asked_anew_and_the_status_says_what_was_answered(web: AuthServer) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(at(web))
        first = await page(manager)
        state = parse_qs(urlsplit(first).query)["state"][0]
        await manager.finish_mcp_authorization(f"{DEFAULT_REDIRECT}?error=access_denied&state={state}")
        second = await page(manager, but=first)
        status = (await manager.mcp_status())["web"]
        assert "access_denied" in (status.error or "") and status.state is McpState.needs_authorization
        await manager.finish_mcp_authorization(await web.agree(second))
        await until(manager, McpState.connected)
        assert len(web.clients) == 1, "it is registered once"


async def test_a_page_is_good_for_a_while_only(web: AuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.mcp.consent.CONSENT_S", 0.1)
    async with runtime() as manager:
        await manager.add_mcp_server(at(web))
        first = await page(manager)
        back = await web.agree(first)
        await page(manager, but=first)
        with pytest.raises(AuthorizationNotFound):
            await manager.finish_mcp_authorization(back)
        assert "nobody agreed in time" in ((await manager.mcp_status())["web"].error or "")


async def test_the_time_that_people_take_is_not_the_server_s(web: AuthServer) -> None:
    async with runtime() as manager:
        await manager.add_mcp_server(at(web, connect_timeout_s=0.5))
        first = await page(manager)
        await asyncio.sleep(0.7)
        assert (await manager.mcp_status())["web"].authorization_url == first
        await manager.finish_mcp_authorization(await web.agree(first))
        await until(manager, McpState.connected)


async def test_a_token_that_is_not_taken_any_more_is_refreshed_without_anybody(web: AuthServer) -> None:
    async with authorized(web) as manager:
        one = await manager.create_session("a", config(ADD, says("Three.")))
        web.tokens.clear()
        assert result_texts((await one.generate("go")).messages) == ["3"]
        assert [form["grant_type"] for form in web.asked] == ["authorization_code", "refresh_token"]
        assert (await manager.mcp_status())["web"].authorization_url is None


async def test_nobody_is_asked_because_an_authorization_server_is_out_of_order(web: AuthServer) -> None:
    async with authorized(web) as manager:
        one = await manager.create_session("a", config(ADD, says("Done.")))
        web.tokens.clear()
        web.down = True
        refused = result_texts((await one.generate("go")).messages)[-1]
        assert "the token could not be renewed: the authorization server answered 503" in refused
        assert (await manager.mcp_status())["web"].authorization_url is None
        web.down = False
        assert result_texts((await one.generate("go")).messages)[-1] == "3"


async def test_a_call_that_needs_more_asks_its_session_for_the_page_and_goes_on(web: AuthServer) -> None:
    web.wanted["admin"] = "all"
    async with authorized(web) as manager:
        one = await manager.create_session("a", config(ADMIN, says("Done.")))
        receipt = await one.send("go")
        action = await question(one)
        asks = parse_qs(urlsplit(action.args["url"]).query)
        assert (action.args["mode"], asks["scope"]) == ("url", ["use all"])
        status = (await manager.mcp_status())["web"]
        assert (status.connected, status.authorization_url) == (True, action.args["url"])
        await manager.finish_mcp_authorization(await web.agree(action.args["url"]))
        await one.resolve_action(action.action_id, "accept")
        assert (await one.wait_turn(receipt)).text == "Done."
        assert result_texts(await one.history()) == ["done"]


async def test_a_call_whose_page_nobody_visits_is_refused_and_costs_the_connection_nothing(web: AuthServer) -> None:
    web.wanted["admin"] = "all"
    async with authorized(web) as manager:
        one = await manager.create_session("a", config(ADMIN, ADD, says("Done.")))
        receipt = await one.send("go")
        await one.resolve_action((await question(one)).action_id, "decline")
        assert (await one.wait_turn(receipt)).text == "Done."
        refused, added = result_texts(await one.history())
        assert "Its authorization failed: the page was not visited: decline." in refused
        assert added == "3"
        assert (await manager.mcp_status())["web"].authorization_url is None


async def test_calls_do_not_wait_for_each_other(web: AuthServer) -> None:
    meet = calls(("mcp__web__meet", {}), ("mcp__web__meet", {}))
    async with authorized(web) as manager:
        one, two = [await manager.create_session(name, config(meet, says("Met."))) for name in "ab"]
        results = await asyncio.gather(one.generate("go"), two.generate("go"))
        assert [result_texts(result.messages) for result in results] == [["met", "met"]] * 2


def _within(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and text in path.read_bytes()]


async def test_neither_tokens_nor_codes_are_told_by_anything(
    web: AuthServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with runtime(store=f"sqlite:///{tmp_path}/greenroom.db") as manager:
        web.blabbing = True
        await manager.add_mcp_server(at(web))
        await manager.finish_mcp_authorization(await web.agree(first := await page(manager)))
        second = await page(manager, but=first)
        assert "Token exchange failed" in ((await manager.mcp_status())["web"].error or "")
        web.blabbing = False
        await manager.finish_mcp_authorization(await web.agree(second))
        status = await until(manager, McpState.connected)
        one = await manager.create_session("a", config(calls(("mcp__web__tell", {})), says("Told.")))
        result = await one.generate("go")
        assert "tokens:" in result_texts(result.messages)[0]
        shown = [status.model_dump_json(), repr(manager), repr(await one.history()), caplog.text]
    assert not [text for text in shown if "-canary-" in text]
    assert not _within(tmp_path, b"-canary-")


async def test_after_a_restart_somebody_has_to_agree_again(web: AuthServer, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/greenroom.db"
    oauth = {"client_id": "mine", "scopes": ["use", "more"]}
    async with runtime(store=store) as manager:
        await manager.add_mcp_server(at(web, oauth=oauth))
        await manager.finish_mcp_authorization(await web.agree(await page(manager)))
        await until(manager, McpState.connected)
    async with runtime(store=store) as manager:
        asks = parse_qs(urlsplit(await page(manager)).query)
        assert (asks["client_id"], asks["scope"]) == (["mine"], ["use more"])
        assert (await until(manager, McpState.needs_authorization)).error is None
        assert web.clients == []


async def test_a_server_that_takes_no_token_is_not_authorized_for_ever(web: AuthServer) -> None:
    web.deaf = True
    async with runtime() as manager:
        await manager.add_mcp_server(at(web))
        last = None
        for _ in range(3):
            last = await page(manager, but=last)
            await manager.finish_mcp_authorization(await web.agree(last))
        status = await look(manager, lambda status: "3 authorizations have not been enough" in (status.error or ""))
        assert status.authorization_url is None


async def test_a_server_that_is_removed_asks_nobody_any_more(web: AuthServer) -> None:
    async with authorized(web) as manager:
        web.tokens.clear()
        web.refreshable.clear()
        async with asyncio.timeout(LIMIT_S / 4):
            assert await manager.remove_mcp_server("web")
    async with runtime() as manager:
        await manager.add_mcp_server(at(web))
        back = await web.agree(await page(manager))
        async with asyncio.timeout(LIMIT_S / 4):
            assert await manager.remove_mcp_server("web")
        with pytest.raises(AuthorizationNotFound):
            await manager.finish_mcp_authorization(back)


async def test_an_own_authorization_header_is_sent_and_nobody_is_asked(web: AuthServer) -> None:
    async with runtime() as manager:
        status = await manager.add_mcp_server(at(web, headers={"authorization": "Bearer wrong-canary"}))
        assert (status.state, status.authorization_url) == (McpState.reconnecting, None)
        web.tokens["right"] = {"use"}
        status = await manager.add_mcp_server(at(web, oauth={"access_token": "right"}))
        assert status.connected and web.clients == []
