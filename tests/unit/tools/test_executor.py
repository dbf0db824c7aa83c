from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from actors.domain.artifacts import MAX_ARTIFACT_BYTES, MAX_FILES_CHARS, GivenFile
from actors.domain.asking import Asked, Question, QuestionMode
from actors.domain.calls import UNCLEAR, Delta, Outcome, ToolOutcome, Verdict
from actors.domain.messages import ImageBlock
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import (
    GreenroomError,
    InvalidConfig,
    ModelUnavailable,
    SessionNotFound,
    StoreUnavailable,
    ToolError,
)
from actors.tools.base import Tool, ToolContext, schema, succeeded
from actors.tools.bounding import MAX_IMAGE_CHARS, MAX_METADATA_BYTES
from actors.tools.executor import ToolExecutor
from actors.tools.function import tool
from actors.tools.registry import ToolRegistry

from .conftest import MakeCall


class _Scripted(Tool):
    """Does what a test says."""

    def __init__(self, outcome: ToolOutcome | BaseException | None, timeout_s: float | None = None) -> None:
        self.definition = ToolDefinition(
            name="scripted", parameters=schema({"n": {"type": "integer"}}), timeout_s=timeout_s
        )
        self.ctx: ToolContext | None = None
        self.running = asyncio.Event()
        self.ended_by: type[BaseException] | None = None
        self._outcome = outcome

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        self.ctx = ctx
        self.running.set()
        if isinstance(self._outcome, ToolOutcome):
            return self._outcome
        if self._outcome is not None:
            raise self._outcome
        await ctx.record({"before_sha256": "b"})
        ctx.emit("half ")
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            self.ended_by = type(error)
            raise
        raise AssertionError("nobody sets the event")


def _emit(channel: str, text: str) -> None:
    del channel, text


def _executor(workspace: Path, tool: Tool) -> ToolExecutor:
    return ToolExecutor(workspace, ToolRegistry([tool]))


async def test_an_outcome_passes_with_its_metadata_and_a_duration(workspace: Path, make_call: MakeCall) -> None:
    outcome = await _executor(workspace, _Scripted(succeeded("fine", a=1))).execute(make_call("scripted"), _emit)

    assert (outcome.outcome, outcome.content, outcome.exit_code) == (Outcome.ok, "fine", 0)
    assert outcome.metadata == {"a": 1}
    assert outcome.duration_ms >= 0


async def test_an_unknown_tool_is_told_with_the_names_of_the_known(workspace: Path, make_call: MakeCall) -> None:
    outcome = await ToolExecutor(workspace).execute(make_call("Bash"), _emit)

    assert (outcome.outcome, outcome.exit_code) == (Outcome.error, 1)
    assert "Unknown tool: Bash" in outcome.content
    assert (
        "bash, edit, git_worktree, glob, grep, ls, patch, read, read_artifact, web_fetch, web_search, write"
        in outcome.content
    )


@pytest.mark.parametrize(
    ("name", "args", "named"),
    [
        ("bash", {}, "missing required parameter 'command'"),
        ("bash", {"command": "true", "cwd": "/"}, "'cwd'"),
        ("bash", {"command": 3}, "parameter 'command'"),
        ("bash", {"command": "true", "timeout": 600_001}, "parameter 'timeout'"),
        ("edit", {"file_path": "f"}, "'old_string', 'new_string'"),
        ("read", {"file_path": "f", "offset": -1}, "parameter 'offset'"),
    ],
)
async def test_wrong_arguments_are_told_by_name(
    workspace: Path, make_call: MakeCall, name: str, args: dict[str, Any], named: str
) -> None:
    outcome = await ToolExecutor(workspace).execute(make_call(name, args), _emit)

    assert (outcome.outcome, outcome.exit_code) == (Outcome.error, 1)
    assert outcome.content.startswith(f"Invalid arguments for {name}: ")
    assert named in outcome.content


async def test_a_tool_error_reaches_the_model_as_it_is(workspace: Path, make_call: MakeCall) -> None:
    outcome = await _executor(workspace, _Scripted(ToolError("No, because."))).execute(make_call("scripted"), _emit)

    assert (outcome.outcome, outcome.content) == (Outcome.error, "No, because.")


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (ValueError("no such column"), "will not help"),
        (ConnectionResetError("reset"), "trying again can help"),
        (TimeoutError(), "trying again can help"),
        (RuntimeError("HTTP 429: Too Many Requests"), "trying again can help"),
        (ModelUnavailable("p", "overloaded, service unavailable"), "trying again can help"),
        (asyncio.CancelledError(), "will not help"),
    ],
)
async def test_an_exception_becomes_an_error_with_a_hint(
    workspace: Path, make_call: MakeCall, error: BaseException, hint: str
) -> None:
    outcome = await _executor(workspace, _Scripted(error)).execute(make_call("scripted"), _emit)

    assert (outcome.outcome, outcome.exit_code) == (Outcome.error, 1)
    assert outcome.content.startswith("Tool execution error: ")
    assert hint in outcome.content


async def test_a_call_that_takes_too_long_is_stopped(workspace: Path, make_call: MakeCall) -> None:
    tool = _Scripted(None)

    outcome = await _executor(workspace, tool).execute(make_call("scripted", timeout_s=0.05), _emit)

    assert (outcome.outcome, outcome.exit_code) == (Outcome.timeout, 1)
    assert "timed out after 0.05 s" in outcome.content
    assert outcome.metadata == {"timed_out": True, "before_sha256": "b"}
    assert tool.ended_by is asyncio.CancelledError


async def test_a_tool_that_fails_while_it_is_stopped_has_timed_out(workspace: Path, make_call: MakeCall) -> None:
    class Clumsy(_Scripted):
        async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
            try:
                return await super().run(args, ctx)
            finally:
                raise ValueError("and the clean-up failed")

    outcome = await _executor(workspace, Clumsy(None)).execute(make_call("scripted", timeout_s=0.05), _emit)

    assert outcome.outcome is Outcome.timeout


async def test_the_time_of_a_definition_wins_over_the_call(workspace: Path, make_call: MakeCall) -> None:
    outcome = await _executor(workspace, _Scripted(None, timeout_s=0.05)).execute(make_call("scripted"), _emit)

    assert "timed out after 0.05 s" in outcome.content


async def test_a_cancelled_call_gives_its_output_so_far_and_what_it_recorded(
    workspace: Path, make_call: MakeCall
) -> None:
    tool, call = _Scripted(None), make_call("scripted")
    executor = _executor(workspace, tool)
    task = asyncio.create_task(executor.execute(call, _emit))
    await tool.running.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    outcome = executor.cancelled(call, [Delta(index=2, channel="output", text="half ")])

    assert outcome.outcome is Outcome.cancelled
    assert outcome.content == "[2 earlier pieces of output are lost]\nhalf \n[the call was cancelled]"
    assert outcome.metadata == {"before_sha256": "b"}


@pytest.mark.parametrize(("effect", "expected"), [("unsafe", Outcome.unknown), ("pure", Outcome.cancelled)])
async def test_nobody_claims_to_have_stopped_a_plain_function(
    workspace: Path, make_call: MakeCall, effect: str, expected: Outcome
) -> None:
    begun, end = threading.Event(), threading.Event()

    @tool(effect=effect)
    def act() -> str:
        """Do it."""
        begun.set()
        end.wait(5.0)
        return "acted"

    executor = ToolExecutor(workspace, ToolRegistry([act]))
    call = make_call("act")
    assert executor.cancelled(call, []).outcome is Outcome.cancelled  # It had not begun.
    task = asyncio.create_task(executor.execute(call, _emit))
    await asyncio.to_thread(begun.wait, 5.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    end.set()

    outcome = executor.cancelled(call, [])
    assert outcome.outcome is expected
    assert ("may go on" in outcome.content) == (expected is Outcome.unknown)
    assert executor.cancelled(call, []).outcome is Outcome.cancelled


async def test_a_cancelled_call_without_output_says_just_that(workspace: Path, make_call: MakeCall) -> None:
    outcome = ToolExecutor(workspace).cancelled(make_call("bash"), [])

    assert (outcome.content, outcome.exit_code) == ("[the call was cancelled]", 1)


async def test_output_and_metadata_are_bounded_and_clean(workspace: Path, make_call: MakeCall) -> None:
    big = succeeded("ä" * MAX_ARTIFACT_BYTES + "\0", much="x" * MAX_METADATA_BYTES)
    outcome = await _executor(workspace, _Scripted(big)).execute(make_call("scripted"), _emit)
    odd = await _executor(workspace, _Scripted(succeeded("a\0\ud800", bad=object()))).execute(
        make_call("scripted"), _emit
    )

    assert len(outcome.content.encode()) <= MAX_ARTIFACT_BYTES
    assert "[... output truncated: " in outcome.content
    assert list(outcome.metadata) == ["dropped"]
    named = await _executor(workspace, _Scripted(succeeded("read", file_path="caf\udce9"))).execute(
        make_call("scripted"), _emit
    )

    assert named.metadata == {"file_path": "caf?"}
    assert named.model_dump_json()
    assert odd.content == "a\N{REPLACEMENT CHARACTER}?"
    assert odd.model_dump_json()


def _image(**source: Any) -> ImageBlock:
    return ImageBlock.model_validate({"type": "image", "source": {"media_type": "image/png", **source}})


async def test_a_tool_gives_images_of_its_own_that_are_some(workspace: Path, make_call: MakeCall) -> None:
    good = _image(type="base64", data="aGk=")
    given = succeeded("seen").model_copy(
        update={
            "images": (
                _image(type="blob", digest="0" * 64, size=3),
                _image(type="base64", data="no!"),
                _image(type="base64", data="a" * (MAX_IMAGE_CHARS + 4)),
                *[good] * 9,
            )
        }
    )
    outcome = await _executor(workspace, _Scripted(given)).execute(make_call("scripted"), _emit)

    assert outcome.images == (good,) * 8
    assert [why.removesuffix("]").partition(": ")[2] for why in outcome.content.splitlines()[1:]] == [
        "it names content of the store",
        "data is not valid base64",
        "it has more than 4 MiB",
    ]


async def test_of_a_tool_s_files_as_many_are_kept_as_travel_together(workspace: Path, make_call: MakeCall) -> None:
    small = GivenFile(name="a", media_type="a/b", data="aGk=")
    large = small.model_copy(update={"data": "aGkh" * (MAX_FILES_CHARS // 8)})
    for given, kept in (([small] * 9, 8), ([large, large, small], 2)):
        files = succeeded("").model_copy(update={"files": tuple(given)})
        outcome = await _executor(workspace, _Scripted(files)).execute(make_call("scripted"), _emit)
        assert outcome.files == tuple(given[:kept])
        assert "1 of its files are left out" in outcome.content


@pytest.mark.parametrize("ends", [Outcome.ok, Outcome.input_required])
async def test_a_tool_that_is_no_servers_asks_nobody(workspace: Path, make_call: MakeCall, ends: Outcome) -> None:
    question = Question(key="a", mode=QuestionMode.url, message="?", url="https://here")
    asked = Asked(questions=(question,), held=True, answer_within_s=math.inf)
    given = ToolOutcome(outcome=ends, content="?", asked=asked)
    outcome = await _executor(workspace, _Scripted(given)).execute(make_call("scripted"), _emit)

    assert (outcome.outcome, outcome.asked) == (Outcome.error, None)
    assert "cannot ask anybody" in outcome.content


async def test_the_tool_knows_its_call_and_its_output_is_a_delta(workspace: Path, make_call: MakeCall) -> None:
    seen: list[tuple[str, str]] = []
    tool = _Scripted(succeeded(""))

    await _executor(workspace, tool).execute(make_call("scripted"), lambda channel, text: seen.append((channel, text)))
    assert tool.ctx is not None
    tool.ctx.emit("x")

    assert (tool.ctx.call_id, tool.ctx.session_id, tool.ctx.workspace) == ("j:1:2", "s", workspace)
    assert seen == [("output", "x")]


async def test_a_call_works_in_its_own_workspace(workspace: Path, make_call: MakeCall, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    call = make_call("write", {"file_path": "f", "content": "x"}, workspace=str(other))

    await ToolExecutor(workspace).execute(call, _emit)

    assert (other / "f").read_text() == "x"
    assert not (workspace / "f").exists()


@pytest.mark.parametrize("chosen", ["missing", "file", ""])
async def test_a_workspace_that_is_not_there_is_an_error(make_call: MakeCall, tmp_path: Path, chosen: str) -> None:
    (tmp_path / "file").touch()
    call = make_call("ls", workspace=str(tmp_path / chosen) if chosen else "")

    outcome = await ToolExecutor(None).execute(call, _emit)

    assert outcome.outcome is Outcome.error
    assert "workspace" in outcome.content


async def test_a_timed_out_command_keeps_its_output(workspace: Path, make_call: MakeCall) -> None:
    call = make_call("bash", {"command": "echo so far; sleep 100"}, timeout_s=0.4)

    outcome = await ToolExecutor(workspace).execute(call, _emit)

    assert outcome.outcome is Outcome.timeout
    assert outcome.content.startswith("so far\n")
    assert "timed out" in outcome.content


class _Sink:
    """Keeps facts, after as many failures as it is told."""

    def __init__(self, failures: int = 0, error: GreenroomError | None = None) -> None:
        self.facts: dict[tuple[str, str, str, int], bytes] = {}
        self.failures = failures
        self._error = error or StoreUnavailable("down")

    async def save_facts(self, tenant: str, journal_id: str, call_id: str, attempt: int, facts: bytes) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise self._error
        self.facts[tenant, journal_id, call_id, attempt] = facts

    async def save(self, tenant: str, journal_id: str, call_id: str, attempt: int, outcome: bytes) -> None:
        raise AssertionError("executors hand outcomes to their host")


EDIT = {"file_path": "f", "old_string": "a", "new_string": "aa"}


async def test_what_an_edit_recorded_reconciles_it_on_another_host(workspace: Path, make_call: MakeCall) -> None:
    (workspace / "f").write_text("a")
    call = make_call("edit", EDIT)
    sink = _Sink()
    done = await ToolExecutor(workspace, sink=sink).execute(call, _emit)

    other = ToolExecutor(workspace, sink=sink)
    found = await other.reconcile(call, sink.facts[call.tenant, call.journal_id, call.call_id, call.attempt])

    assert found.outcome is not None
    assert (found.outcome.outcome, found.outcome.content) == (Outcome.ok, done.content)
    assert (await other.reconcile(call, None)).verdict is Verdict.not_done


@pytest.mark.parametrize(
    ("error", "failures", "content"),
    [
        (StoreUnavailable("down"), 1, "aa"),
        (SessionNotFound("s"), 1, "a"),
    ],
)
async def test_a_file_is_changed_only_once_the_facts_are_durable(
    workspace: Path, make_call: MakeCall, error: GreenroomError, failures: int, content: str
) -> None:
    (workspace / "f").write_text("a")
    executor = ToolExecutor(workspace, sink=_Sink(failures, error))

    outcome = await executor.execute(make_call("edit", EDIT), _emit)

    assert (workspace / "f").read_text() == content
    assert outcome.outcome is (Outcome.ok if content == "aa" else Outcome.error)
    assert ("Nothing was changed" in outcome.content) == (content == "a")


async def test_a_tool_that_fails_to_say_what_became_of_a_call_leaves_it_unclear(
    workspace: Path, make_call: MakeCall
) -> None:
    def broken(args: dict[str, Any], ctx: ToolContext) -> None:
        raise ZeroDivisionError

    @tool(reconcile=broken)
    def act() -> str:
        """Do it."""
        return "acted"

    executor = ToolExecutor(workspace, ToolRegistry([act]))

    assert await executor.reconcile(make_call("act"), None) == UNCLEAR
    assert await executor.reconcile(make_call("nothing"), None) == UNCLEAR


def test_a_name_belongs_to_one_tool() -> None:
    registry = ToolRegistry.with_builtins()

    with pytest.raises(InvalidConfig, match="There is a tool 'scripted' already"):
        for _ in range(2):
            registry.register(_Scripted(None))

    assert registry.unregister("scripted")
    assert not registry.unregister("scripted")
    assert registry.get("scripted") is None


def test_definitions_are_sorted_and_say_what_repeating_means() -> None:
    effects = {one.name: one.effect for one in ToolRegistry.with_builtins().definitions()}

    assert list(effects) == [
        "bash",
        "edit",
        "git_worktree",
        "glob",
        "grep",
        "ls",
        "patch",
        "read",
        "read_artifact",
        "web_fetch",
        "web_search",
        "write",
    ]
    assert {name for name, effect in effects.items() if effect is EffectClass.pure} == {
        "glob",
        "grep",
        "ls",
        "read",
        "read_artifact",
        "web_fetch",
        "web_search",
    }
    assert effects["bash"] is EffectClass.unsafe


def test_every_builtin_forbids_unknown_parameters_and_names_the_required() -> None:
    required: Mapping[str, list[str]] = {
        one.name: one.parameters["required"] for one in ToolRegistry.with_builtins().definitions()
    }

    assert required == {
        "bash": ["command"],
        "edit": ["file_path", "old_string", "new_string"],
        "git_worktree": ["command"],
        "glob": ["pattern"],
        "grep": ["pattern"],
        "ls": [],
        "patch": ["file_path", "diff"],
        "read": ["file_path"],
        "read_artifact": ["artifact_id"],
        "web_fetch": ["url"],
        "web_search": ["query"],
        "write": ["file_path", "content"],
    }
    assert not any(one.parameters["additionalProperties"] for one in ToolRegistry.with_builtins().definitions())


def test_tools_of_a_prefix_go_together() -> None:
    registry = ToolRegistry.with_builtins()

    assert registry.unregister_prefix("g") == 3
    assert "glob" not in registry
    assert [one.definition.name for one in registry] == [
        "bash",
        "edit",
        "ls",
        "patch",
        "read",
        "read_artifact",
        "web_fetch",
        "web_search",
        "write",
    ]
