"""The Python of README.md and its guide is executed on a real runtime, and their tables are those of the code."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from actors import SessionConfig, SessionManager, Settings, errors
from actors.cluster.links import NAMESPACE, actor_names
from actors.domain.records import RECORD
from serve_app.app import create_app
from serve_app.cli import app as command
from tests.docs.guide import PAGES, ROOT, Block, anchors, blocks, blocks_of, code, rows, section

OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""Nothing large goes through it."""

PROGRAMS = [block for block in blocks("python") if block.is_program]
SNIPPETS = [block for block in blocks("python") if not block.is_program]


def _assert_printed(block: Block, printed: str) -> None:
    lines = iter(printed.splitlines())
    for promised in block.promised:
        assert promised in lines, f"{block.place} does not print {promised!r}: {printed!r}"


# --- Python ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray on this machine; whoever starts a runtime in it ends it."""
    ray.init(
        address="local",
        num_cpus=4,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        namespace=NAMESPACE,
    )
    yield
    left = actor_names("docs-")
    ray.shutdown()
    assert left == [], "actors of a runtime outlived it"


class Reader:
    """Somebody who types the guide's snippets, one after the other, into one prompt."""

    def __init__(self, runner: asyncio.Runner, manager: SessionManager) -> None:
        self._runner = runner
        self._names: dict[str, Any] = {"__name__": "__main__", "manager": manager}

    def types(self, block: Block) -> None:
        """Run a snippet, which may await."""
        compiled = compile(block.padded, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(compiled, self._names)
        if inspect.iscoroutine(running):
            self._runner.run(running)


@pytest.fixture(scope="module")
def reader(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    settings = Settings(
        runtime=f"docs-{secrets.token_hex(4)}",
        min_warm=1,
        max_resident=4,
        workspace=str(tmp_path_factory.mktemp("workspace")),
    )
    with asyncio.Runner() as runner:
        store = tmp_path_factory.mktemp("store")
        manager = runner.run(SessionManager.with_persistence("scripted/echo", store, settings=settings))
        yield Reader(runner, manager)
        runner.run(manager.close())


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.place)
def test_a_snippet_of_the_guide_does_what_it_says(
    reader: Reader, block: Block, capsys: pytest.CaptureFixture[str]
) -> None:
    reader.types(block)

    _assert_printed(block, capsys.readouterr().out)


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.place)
def test_a_program_runs_as_it_stands(
    cluster: None, block: Block, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENROOM_RUNTIME", f"docs-{secrets.token_hex(4)}")
    monkeypatch.setenv("GREENROOM_MIN_WARM", "1")

    exec(compile(block.padded, str(block.page), "exec"), {"__name__": "__main__"})

    printed = capsys.readouterr().out
    assert printed.strip()
    _assert_printed(block, printed)


# --- tables ---------------------------------------------------------------------------------------------------------


async def _nobody() -> Any:
    raise AssertionError("nothing is asked")


def test_the_http_reference_lists_every_route_and_no_other() -> None:
    paths: dict[str, dict[str, Any]] = create_app(_nobody).openapi()["paths"]

    served = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    listed = [code(row[0])[0] for row in rows("HTTP reference")]

    assert len(listed) == len(set(listed))
    assert set(listed) == served


def test_the_table_of_settings_lists_every_setting_and_no_other() -> None:
    listed = {name.removeprefix("GREENROOM_").lower() for row in rows("Settings") for name in code(row[0])}

    assert listed == set(Settings.model_fields)


def test_the_table_of_session_config_lists_every_field_that_has_an_effect() -> None:
    listed = {name for row in rows("SessionConfig") for name in code(row[0])}

    # The version is the format's own, the parent is set by create_child_session.
    assert listed == set(SessionConfig.model_fields) - {"version", "parent_id"}


def test_each_error_in_the_table_has_the_status_that_it_says() -> None:
    listed = [(name, int(row[1])) for row in rows("Errors") for name in code(row[0])]

    assert [(name, getattr(errors, name).status) for name, _ in listed] == listed


def test_the_table_of_commands_lists_every_command_and_no_other() -> None:
    listed = {code(row[0])[0] for row in rows("Command line")}
    names = [one.name or one.callback.__name__ for one in command.registered_commands if one.callback is not None]

    assert listed == {f"greenroom {name}" for name in names}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_this_repository_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_on_the_map() -> None:
    assert {page for page in PAGES if page.parent.name == "docs"} == set((ROOT / "docs").glob("*.md"))


def test_what_is_not_executed_only_sets_things_up() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    for block in blocks(""):
        for line in block.text.splitlines():
            word, *rest = line.split("#")[0].split()
            assert word == ".ci/run" or (word == "make" and rest[0] in targets), line
    for page in PAGES:
        known = [block for block in blocks_of(page) if block.language in ("", "python", "bash")]
        assert page.read_text(encoding="utf-8").count("\n```") == 2 * len(known), page


_REFERENCE = """
new with_persistence with_store create_session destroy_session get_session restore_session_by_id load_all_sessions
create_child_session get_child_sessions is_child_session generate generate_streaming context_usage history clear compact
maybe_auto_compact get_llm_for_session configure set_system_prompt session_count store_health list_tools tool_executor
pause_session resume_session cancel_operation get_all_sessions confirm_tool set_confirmation_policy
get_confirmation_policy set_default_llm set_skill_registry skill_registry set_session_skill_registry
session_skill_registry set_memory_store memory_store set_mcp_manager add_mcp_server remove_mcp_server mcp_status
fork_session generate_title get_tasks set_tasks set_lane_handler get_lane_handler pending_external_tasks
complete_external_task set_permission_policy get_permission_policy check_permission add_permission_rule
add_context_provider remove_context_provider context_provider_names
""".split()


def test_the_table_of_events_has_every_type_that_there_is() -> None:
    listed: set[str] = set()
    for line in section("Events").splitlines():
        domain = ""
        for name in re.findall(r"`([a-z_.]+)`", line) if line.startswith("| ") else ():
            domain = name.rpartition(".")[0] or domain
            listed.add(name if "." in name else f"{domain}.{name}")

    kept = set(RECORD.json_schema()["discriminator"]["mapping"])
    passing = {"message.delta", "tool.output.delta", "session.persistence_failed", "tree.joined"}
    assert listed == kept | passing


def test_the_table_of_another_services_operations_has_all_of_them_and_says_truly_which_are_here() -> None:
    listing = section("Coming from A3S Code")
    rows = [line.strip("|").split("|") for line in listing.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    here = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}

    assert sorted(listed) == sorted(_REFERENCE)
    assert here == {name for name in listed if hasattr(SessionManager, name)}
