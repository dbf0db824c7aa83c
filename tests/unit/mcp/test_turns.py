"""MCP tools in whole turns: called, recorded, permitted; servers added, shared, private, removed, and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.mcp import McpServerConfig, McpState
from actors.domain.permissions import PermissionPolicy
from actors.domain.records import RecordBase
from actors.domain.tools import EffectClass
from actors.errors import McpServerExists
from actors.manager import SessionManager
from tests.unit.local.runtimes import calls, config, record_of, records, result_texts, says
from tests.unit.mcp.servers import raw

ADD = calls(("mcp__raw__add", {"a": 1, "b": 2}))


async def test_a_turn_calls_a_tool_of_a_server_and_the_ledger_says_it_was_unsafe() -> None:
    async with await SessionManager.local() as manager:
        assert (await manager.add_mcp_server(raw())).state is McpState.connected
        one = await manager.create_session("a", config(ADD, says("Three.")))
        result = await one.generate("go")
        assert (result.text, result_texts(result.messages)) == ("Three.", ["3"])
        (started,) = await records(one, r.ToolCallStarted)
        assert started.data.effect is EffectClass.unsafe
        assert started.data.host is not None and started.data.host.host_id.startswith("mcp-")
        (effect,) = await one.effects()
        assert effect.tool == "mcp__raw__add"


async def test_permission_rules_name_servers() -> None:
    async with await SessionManager.local() as manager:
        await manager.add_mcp_server(raw())
        policy = PermissionPolicy(deny=["mcp__raw"], default_decision="allow")
        one = await manager.create_session("a", config(ADD, says("No."), permission_policy=policy))
        result = await one.generate("go")
        assert "Permission denied" in result_texts(result.messages)[0]
        assert not await records(one, r.ToolCallStarted)


async def test_the_tools_of_a_removed_server_are_gone_and_it_is_forgotten() -> None:
    async with await SessionManager.local() as manager:
        await manager.add_mcp_server(raw())
        assert "mcp__raw__add" in [tool.name for tool in await manager.list_tools()]
        one = await manager.create_session("a", config(ADD, says("None.")))
        assert await manager.remove_mcp_server("RAW") is True
        assert await manager.mcp_status() == {}
        assert not [tool for tool in await manager.list_tools() if tool.name.startswith("mcp__")]
        assert await manager.remove_mcp_server("raw") is False
        result = await one.generate("go")
        assert "Unknown tool" in result_texts(result.messages)[0]


async def test_a_turn_does_not_wait_for_a_server_that_was_removed_under_its_call() -> None:
    async with await SessionManager.local() as manager:
        await manager.add_mcp_server(raw(trust_annotations=True))
        one = await manager.create_session("a", config(calls(("mcp__raw__deaf", {})), says("Done.")))
        await one.send("go")
        await record_of(one, r.ToolCallStarted)
        await manager.remove_mcp_server("raw")
        doubt = await record_of(one, r.ToolCallInDoubt)
        assert doubt.data.name == "mcp__raw__deaf"


async def test_a_server_of_one_session_is_seen_by_no_other_and_goes_with_it() -> None:
    async with await SessionManager.local() as manager:
        mine = await manager.create_session("mine", config(ADD, says("Mine.")))
        other = await manager.create_session("other", config(ADD, says("Not mine.")))
        await mine.add_mcp_server(raw())
        assert "3" in result_texts((await mine.generate("go")).messages)[0]
        assert "Unknown tool" in result_texts((await other.generate("go")).messages)[0]
        assert await manager.mcp_status() == {}
        assert list(await mine.mcp_status()) == ["raw"]
        assert (await mine.mcp_status())["raw"].session_id == "mine"
        with pytest.raises(McpServerExists, match="already"):
            await manager.add_mcp_server(raw())
        await manager.destroy_session("mine")
        assert (await manager.add_mcp_server(raw())).connected


async def test_tenants_do_not_see_each_others_servers(tmp_path: Path) -> None:
    async with await SessionManager.local(tenant="one") as manager:
        await manager.add_mcp_server(raw())
        other = SessionManager(manager._runtime, manager.settings, "two")  # pyright: ignore[reportPrivateUsage]
        assert await other.mcp_status() == {}
        assert not [tool for tool in await other.list_tools() if tool.name.startswith("mcp__")]
        assert await other.remove_mcp_server("raw") is False


async def test_a_server_that_cannot_be_connected_stays_configured_and_says_why() -> None:
    gone = McpServerConfig.model_validate({"name": "gone", "transport": "stdio", "command": "/no/such/program"})
    async with await SessionManager.local() as manager:
        status = await manager.add_mcp_server(gone)
        assert not status.connected and "could not be started" in (status.error or "")
        assert list(await manager.mcp_status()) == ["gone"]


async def test_servers_are_there_again_after_a_restart_unless_their_secrets_are_needed(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/greenroom.db"
    async with await SessionManager.local(store=store) as manager:
        await manager.add_mcp_server(raw())
        await manager.add_mcp_server(raw(name="locked", env={"TOKEN": "canary-of-a-secret"}))
        await manager.add_mcp_server(raw(name="off", enabled=False))
        await manager.add_mcp_server(raw(name="passing"))
        await manager.remove_mcp_server("passing")
    assert not _holding(tmp_path, b"canary-of-a-secret")
    async with await SessionManager.local(store=store) as manager:
        status = await manager.mcp_status()
        assert list(status) == ["locked", "off", "raw"]
        assert status["locked"].state is McpState.needs_secrets
        assert status["off"].state is McpState.disabled
        again = await manager.add_mcp_server(raw(name="locked", env={"TOKEN": "canary-of-a-secret"}))
        assert again.connected


async def test_secrets_are_in_no_record_status_or_repr() -> None:
    secret = "canary-of-a-secret"
    async with await SessionManager.local() as manager:
        given = raw(env={"TOKEN": secret})
        status = await manager.add_mcp_server(given)
        one = await manager.create_session("a", config(calls(("mcp__raw__environment", {})), says("Seen.")))
        await one.generate("go")
        kept = [record.model_dump_json() for record in await records(one, RecordBase)]
        assert secret not in repr(given) + repr(status) + given.model_dump_json() + str(given.without_secrets())
        assert kept and all(secret not in body for body in kept)


def _holding(directory: Path, secret: bytes) -> list[Path]:
    return [path for path in directory.iterdir() if secret in path.read_bytes()]


async def test_a_call_that_is_cancelled_ends_with_its_turn(tmp_path: Path) -> None:
    async with await SessionManager.local() as manager:
        await manager.add_mcp_server(raw(str(tmp_path / "told")))
        one = await manager.create_session("a", config(calls(("mcp__raw__deaf", {})), says("Never.")))
        stream = await one.generate_streaming("go")
        async for event in stream:
            if event.type == "tool.call.started":
                await one.cancel()
        (completed,) = await records(one, r.ToolCallCompleted)
        assert completed.data.outcome is Outcome.cancelled


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "a", "transport": "stdio"}, "command"),
        ({"name": "a", "transport": "http"}, "url"),
        ({"name": "a", "transport": "carrier-pigeon", "command": "x"}, "stdio, http"),
        ({"transport": "stdio", "command": "x"}, "name"),
        ({"name": "a"}, "transport"),
        ({"name": "a__b", "transport": "stdio", "command": "x"}, "single '_'"),
        ({"name": "a_", "transport": "stdio", "command": "x"}, "single '_'"),
        ({"name": "a" * 33, "transport": "stdio", "command": "x"}, "1 to 32"),
        ({"name": "a", "transport": "stdio", "command": "x", "env": {"A": 1}}, "env"),
        ({"name": "a", "transport": "stdio", "command": "x", "env": {"A=B": "1"}}, "env"),
        ({"name": "a", "transport": "http", "url": "file:///etc/passwd"}, "http or https"),
        ({"name": "a", "transport": "http", "url": "http://x", "headers": {"A": "b\nc"}}, "headers"),
        ({"name": "a", "transport": "http", "url": "http://x", "oauth": {"client_secret": "x"}}, "client_id"),
        ({"name": "a", "transport": "http", "url": "http://x", "oauth": {"token_url": "http://y"}}, "credentials"),
        ({"name": "a", "transport": "http", "url": "http://x", "oauth": {"redirect_uri": "http://y"}}, "https"),
        ({"name": "a", "transport": "http", "url": "http://x", "oauth": {"auth_url": "http://y"}}, "token_url"),
        ({"name": "a", "transport": "http", "url": "http://x", "oauth": {"id_token": "y"}}, "idp_token_url"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        McpServerConfig.model_validate(given)


def test_a_configuration_has_two_forms_and_defaults() -> None:
    flat = McpServerConfig.model_validate({"name": "a", "transport": "http", "url": "https://x/mcp"})
    nested = McpServerConfig.model_validate({"name": "a", "transport": {"type": "http", "url": "https://x/mcp"}})
    assert flat == nested
    assert (flat.enabled, flat.tool_timeout_s, flat.env, flat.oauth) == (True, 60.0, {}, None)
    assert flat.transport.type == "streamable-http"


def test_what_a_url_carries_beside_its_address_is_not_told() -> None:
    given = McpServerConfig.model_validate(
        {"name": "a", "transport": "http", "url": "https://user:canary@host:8/mcp?key=canary"}
    )
    assert "canary" not in repr(given) + given.model_dump_json() + str(given.without_secrets())
    assert given.model_dump(mode="json")["transport"]["url"] == "https://host:8/mcp"
    assert not given.without_secrets().complete


async def test_a_large_result_of_a_server_is_kept_whole_and_shown_by_its_ends() -> None:
    async with await SessionManager.local() as manager:
        await manager.add_mcp_server(raw())
        one = await manager.create_session("a", config(calls(("mcp__raw__huge", {"n": 300_000})), says("Much.")))
        (text,) = result_texts((await one.generate("go")).messages)
        (artifact,) = await one.artifacts()
        assert (artifact.size, artifact.tool) == (300_000, "mcp__raw__huge")
        assert artifact.artifact_id in text and len(text) < 32 * 1024
