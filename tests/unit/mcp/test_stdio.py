"""A server as a child process: what its tools give, and what becomes of calls when it misbehaves."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path

import pytest
from mcp_types import CallToolResult, ImageContent

from actors.domain.artifacts import MAX_ARTIFACT_BYTES
from actors.domain.calls import Outcome
from actors.domain.mcp import McpServerConfig, McpState
from actors.domain.messages import Base64Source
from actors.domain.tools import EffectClass
from actors.mcp.results import outcome_of
from actors.mcp.stdio import STDERR_BYTES, ServerProcess
from actors.tools.leftovers import leftovers_of
from tests.unit.mcp.servers import connected, raw
from tests.unit.tools.processes import is_gone


async def test_a_tool_is_called_and_its_text_comes_back() -> None:
    async with connected(raw()) as server:
        assert server.connection.status.connected
        assert server.connection.status.protocol == "2025-11-25"
        outcome = await server.call("add", {"a": 1, "b": 2})
        assert (outcome.outcome, outcome.content) == (Outcome.ok, "3")


async def test_images_resources_and_structured_content_come_through() -> None:
    async with connected(raw()) as server:
        pictures = await server.call("pictures")
        assert pictures.content == "[Image: image/png]\n[Image: image/tiff]\ninner"
        assert [image.source.media_type for image in pictures.images if isinstance(image.source, Base64Source)] == [
            "image/png"
        ]
        structured = await server.call("structured")
        assert structured.content == '{"sum": 3}'
        assert structured.metadata == {"structured_content": {"sum": 3}}


async def test_a_tool_that_says_no_is_a_failed_call() -> None:
    async with connected(raw()) as server:
        outcome = await server.call("refuse")
        assert (outcome.outcome, outcome.content, outcome.exit_code) == (Outcome.error, "no", 1)


async def test_progress_is_output_of_the_running_call() -> None:
    async with connected(raw()) as server:
        await server.call("progress")
        assert server.deltas == ["[1/2] step 1\n", "[2/2] step 2\n"]


async def test_a_changed_list_of_tools_is_read_again() -> None:
    async with connected(raw()) as server:
        await server.call("grow")
        await server.until(lambda: "mcp__raw__grown" in (server.connection.listing.published.names or {}))


async def test_cancelling_a_call_reaches_the_server_and_spares_the_connection(tmp_path: Path) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)
    async with connected(raw(str(told))) as server:
        call = asyncio.ensure_future(server.call("deaf"))
        await asyncio.sleep(0)
        await server.call("add", {"a": 1, "b": 1})
        call.cancel()
        assert await asyncio.to_thread(told.read_text) == "cancelled"
        assert (await server.call("add", {"a": 1, "b": 1})).content == "2"


async def test_a_call_that_takes_too_long_is_ended_and_says_so() -> None:
    async with connected(raw("/dev/null", tool_timeout_s=0.2)) as server:
        outcome = await server.call("deaf")
        assert outcome.outcome is Outcome.timeout
        assert "timed out after 0.2 s" in outcome.content
        assert (await server.call("add", {"a": 1, "b": 1})).content == "2"


async def test_a_server_inherits_only_harmless_variables_and_those_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("SOMETHING", "canary")
    async with connected(raw(env={"TOKEN": "hunter2"})) as server:
        names = (await server.call("environment")).content.split("\n")
        assert "TOKEN" in names and "PATH" in names
        assert not {"OPENAI_API_KEY", "SOMETHING"} & set(names)


async def test_a_server_that_crashes_fails_its_call_clearly_and_is_connected_again(tmp_path: Path) -> None:
    async with connected(raw(str(tmp_path / "x"))) as server:
        outcome = await server.call("crash")
        assert outcome.outcome is Outcome.error
        assert "went away during the call" in outcome.content and "may or may not have taken effect" in outcome.content
        assert (await server.call("add", {"a": 2, "b": 2})).content == "4"
        assert server.connection.tries == 2


async def test_a_call_that_may_be_repeated_is_made_again_after_a_crash(tmp_path: Path) -> None:
    async with connected(raw(str(tmp_path / "x"), trust_annotations=True)) as server:
        effects = {one.name: one.effect for one in server.connection.listing.published.definitions}
        assert effects["mcp__raw__again"] is EffectClass.idempotent
        assert effects["mcp__raw__add"] is EffectClass.pure
        assert effects["mcp__raw__crash"] is EffectClass.unsafe
        assert (await server.call("again", effect=EffectClass.idempotent)).content == "the second time"


async def test_a_call_of_a_server_that_is_not_trusted_any_more_is_made_once(tmp_path: Path) -> None:
    async with connected(raw(str(tmp_path / "x"))) as server:
        assert "went away" in (await server.call("again", effect=EffectClass.idempotent)).content


async def test_annotations_of_a_server_that_is_not_trusted_are_not_believed() -> None:
    async with connected(raw()) as server:
        assert {one.effect for one in server.connection.listing.published.definitions} == {EffectClass.unsafe}


async def test_lines_that_are_no_messages_are_passed_over() -> None:
    async with connected(raw()) as server:
        assert (await server.call("junk")).content == "made noise"
        assert server.connection.tries == 1


async def test_a_result_is_cut_to_what_an_artifact_holds() -> None:
    async with connected(raw()) as server:
        outcome = await server.call("huge", {"n": 5_000_000})
        assert len(outcome.content) <= MAX_ARTIFACT_BYTES
        assert "more bytes" in outcome.content[-80:]


async def test_a_message_without_end_costs_the_connection_and_nothing_else() -> None:
    async with connected(raw()) as server:
        outcome = await server.call("huge", {"n": 9 * 1024 * 1024})
        assert outcome.outcome is Outcome.error
        await server.until(lambda: "8 MiB" in (server.connection.status.error or "") or server.connection.tries > 1)
        assert (await server.call("add", {"a": 1, "b": 1})).content == "2"


async def test_of_ten_thousand_tools_only_so_many_are_published() -> None:
    async with connected(raw("x", "--many")) as server:
        status = server.connection.status
        assert (status.tool_count, status.tools_left_out) == (256, 10_000 - 256)


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    async with connected(raw("x", "--silent", connect_timeout_s=0.3)) as server:
        assert server.connection.status.state is McpState.reconnecting
        assert "did not answer in time" in (server.connection.status.error or "")


async def test_a_program_that_is_not_there_is_told() -> None:
    config = raw().model_copy(update={"transport": raw().transport.model_copy(update={"command": "/no/such/program"})})
    async with connected(config) as server:
        assert "could not be started: No such file" in (server.connection.status.error or "")
        outcome = await server.call("add", {"a": 1, "b": 1}, limit_s=0.05)
        assert "The call was not made" in outcome.content


async def test_nothing_is_left_of_a_server_that_does_not_want_to_end() -> None:
    async with connected(raw("x", "--stubborn", env={"TOOL_HOST_ID": "mcp-test-stubborn"})):
        assert leftovers_of("mcp-test-stubborn")
    assert not leftovers_of("mcp-test-stubborn")


async def test_a_server_that_kills_its_reaper_is_ended_with_all_below_it(tmp_path: Path) -> None:
    script = f"setsid sleep 1000 & echo $! $$ > {tmp_path}/pids; kill -9 $PPID; sleep 1000"
    process = ServerProcess(("bash", "-c", script), "/", {})
    await process.start()
    async with asyncio.timeout(30.0):
        await process.ended.wait()
    await process.close()

    assert process.problem == "it was killed from outside"
    assert all(is_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


async def test_the_last_that_a_server_wrote_to_stderr_is_told_and_no_half_of_a_secret() -> None:
    secret = "canary-of-the-server"
    program = (
        "import os, sys; key = os.environ['KEY']\n"
        f"sys.stderr.write('.' * 100 + key + '.' * {STDERR_BYTES - 100} + '\\n' + 'at line 5\\n' * 90 + 'it is ' + key)"
    )
    server = McpServerConfig.model_validate(
        {"name": "x", "transport": "stdio", "command": sys.executable, "args": ["-c", program], "env": {"KEY": secret}}
    )
    async with connected(server) as one:
        await one.until(lambda: "stderr" in (one.connection.status.error or ""))
        error = one.connection.status.error or ""
    assert len(error) <= 1000 and error.endswith("it is ***")
    assert "of-the-server" not in error


def test_of_a_long_stderr_whole_lines_are_known() -> None:
    process = ServerProcess(("x",), "/", {})
    process._stderr = b"half of a secret\nthe rest".rjust(STDERR_BYTES, b".")  # pyright: ignore[reportPrivateUsage]
    assert process.stderr == "the rest"


@pytest.mark.parametrize(
    ("kind", "begins", "shown"),
    [
        ("image/png", b"\x89PNG\r\n\x1a\n", "image/png"),
        ("image/png", b"\xff\xd8\xff\xe0", "image/jpeg"),
        ("image/png", b"<svg onload=alert(1)>", None),
        ("image/svg+xml", b"\x89PNG\r\n\x1a\n", None),
    ],
)
def test_a_model_is_shown_images_as_what_they_are_and_nothing_that_is_none(
    kind: str, begins: bytes, shown: str | None
) -> None:
    data = base64.b64encode(begins + b"." * 100).decode()
    result = CallToolResult(content=[ImageContent(type="image", mime_type=kind, data=data)])
    outcome = outcome_of(result)
    assert [one.source.media_type for one in outcome.images] == ([shown] if shown else [])
    assert [one.media_type for one in outcome.files] == ([] if shown else [kind])
