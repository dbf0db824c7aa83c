"""Who can reach a session: nobody once it is destroyed, and nobody of another tenant, through any operation there is.

The operations are read off the manager and the handle, so that one that is new is either listed here or fails.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from actors import (
    ConfirmationPolicy,
    ExternalTaskResult,
    LaneHandlerConfig,
    McpServerConfig,
    PermissionPolicy,
    SessionHandle,
    SessionManager,
    Settings,
)
from actors.domain import records as r
from actors.domain.turns import Receipt
from actors.errors import ActionNotFound, SessionNotFound
from tests.unit.local.runtimes import asking, calls, config, record_of, runtime, says

_RECEIPT = Receipt(session_id="s", journal_id="01ARZ3NDEKTSV4RRFFQ69G5FAV", input_id="i", seq=2)

_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "add_mcp_server": (McpServerConfig.model_validate({"name": "a", "transport": "stdio", "command": "x"}),),
    "add_message": ("hello",),
    "add_permission_rule": ("allow", "ls"),
    "check_permission": ("ls", {}),
    "artifact": ("art_x",),
    "complete_external_task": ("t", ExternalTaskResult(success=False)),
    "configure": (),
    "confirm_tool": ("a", True),
    "create_child": ("c", config(says("x"))),
    "create_child_session": ("c",),
    "dry_run_policy": (PermissionPolicy(),),
    "fail": ("broken",),
    "fork_many": (["go"],),
    "fork_session": ("f",),
    "generate": ("go",),
    "generate_streaming": ("go",),
    "get_lane_handler": ("query",),
    "get_mcp_prompt": ("a", "greet"),
    "lease_external_task": ("t",),
    "mcp_prompts": ("a",),
    "mcp_resources": ("a",),
    "read_mcp_resource": ("a", "note://a"),
    "remove_mcp_server": ("a",),
    "resolve_action": ("a", "approve"),
    "rewind": (1,),
    "rewind_session": (1,),
    "send": ("go",),
    "set_confirmation_policy": (ConfirmationPolicy(),),
    "read_artifact": ("art_x",),
    "set_lane_handler": ("query", LaneHandlerConfig()),
    "set_permission_policy": (PermissionPolicy(),),
    "set_queue_config": (None,),
    "set_system_prompt": ("be brief",),
    "set_tasks": ([],),
    "spawn_many": (["go"],),
    "turn": ("t",),
    "turn_events": (_RECEIPT,),
    "wait_turn": (_RECEIPT,),
    "withdraw_input": ("i",),
}
"""What an operation needs beside the session; those that are not here need nothing."""

_KEYWORDS: dict[str, dict[str, Any]] = {"configure": {"name": "other"}, "lease_external_task": {"worker": "w"}}

_FORGIVING = {"destroy_session", "purge_session", "get_child_sessions"}
"""Operations for which a session that is not there is no error."""

_NO_SESSION = {"create_session", "import_session", "list_sessions", "actions"} | {
    "add_mcp_server",
    "get_mcp_prompt",
    "mcp_prompts",
    "mcp_resources",
    "mcp_status",
    "read_mcp_resource",
    "remove_mcp_server",
}
"""Operations that make a session, or can name one and are about others as well."""


def _operations(kind: type[Any]) -> dict[str, Any]:
    members = inspect.getmembers(kind, inspect.isfunction)
    return {name: one for name, one in members if not name.startswith("_")}


_OF_MANAGER = [
    name
    for name, one in _operations(SessionManager).items()
    if not _NO_SESSION & {name} and {"session_id", "parent_id"} & set(inspect.signature(one).parameters)
]
_OF_HANDLE = [name for name in _operations(SessionHandle) if name != "resolve"]


async def _done(answer: Any) -> Any:
    """What came of an operation: its answer, or the first thing that it streams."""
    answer = await answer if inspect.isawaitable(answer) else answer
    if hasattr(answer, "__anext__"):
        return [one async for one in cast("AsyncIterator[Any]", answer)]
    return answer


def _call(owner: Any, name: str, *first: Any) -> Awaitable[Any]:
    method: Callable[..., Any] = getattr(owner, name)
    return _done(method(*first, *_ARGUMENTS.get(name, ()), **_KEYWORDS.get(name, {})))


@pytest.mark.parametrize("name", _OF_MANAGER)
async def test_a_destroyed_session_is_reached_by_no_operation_and_is_not_made_again(name: str) -> None:
    async with runtime() as manager:
        await manager.create_session("s", config(says("yes")))
        await manager.generate("s", "hello")
        await manager.destroy_session("s")

        if name in _FORGIVING:
            assert not await _call(manager, name, "s")
        else:
            with pytest.raises(SessionNotFound):
                await _call(manager, name, "s")
        assert await manager.session_count() == 0


@pytest.mark.parametrize("name", _OF_HANDLE)
async def test_a_handle_to_a_destroyed_session_reaches_nothing_also_when_its_id_is_used_again(name: str) -> None:
    async with runtime() as manager:
        handle = await manager.create_session("s", config(says("yes")))
        await handle.generate("hello")
        await manager.destroy_session("s")
        again = await manager.create_session("s", config(says("yes")))
        before = await again.info()

        with pytest.raises(SessionNotFound):
            await _call(handle, name)
        assert await again.info() == before


@pytest.mark.parametrize("name", _OF_MANAGER)
async def test_a_session_of_another_tenant_is_not_there(name: str) -> None:
    async with runtime() as mine:
        theirs = SessionManager(mine._runtime, Settings(), "other")  # pyright: ignore[reportPrivateUsage] - one runtime, two tenants
        handle = await mine.create_session("s", asking(calls(("ls", {})), says("yes")))
        await handle.send("go")
        before = await handle.info()

        if name in _FORGIVING:
            assert not await _call(theirs, name, "s")
        else:
            with pytest.raises(SessionNotFound):
                await _call(theirs, name, "s")
        assert (await handle.info()).journal_id == before.journal_id
        assert await theirs.session_count() == 0


async def test_listings_and_the_inbox_show_only_what_is_the_tenants() -> None:
    async with runtime() as mine:
        theirs = SessionManager(mine._runtime, Settings(), "other")  # pyright: ignore[reportPrivateUsage] - one runtime, two tenants
        handle = await mine.create_session("s", asking(calls(("ls", {})), says("yes")))
        await theirs.create_session("s", config(says("no")))
        await handle.send("go")
        action = await record_of(handle, r.ActionRequested)

        assert [one.journal_id for one in (await mine.list_sessions()).items] == [handle.journal_id]
        assert handle.journal_id not in {one.journal_id for one in (await theirs.list_sessions()).items}
        assert [one.action_id for one in (await mine.actions()).items] == [action.data.action_id]
        assert (await theirs.actions()).items == ()
        with pytest.raises(ActionNotFound):
            await theirs.resolve_action("s", action.data.action_id, "approve")
        with pytest.raises(SessionNotFound):
            await theirs.list_sessions(parent_id="nobody")
        with pytest.raises(SessionNotFound):
            await mine.actions("nobody")
        assert (await theirs.generate("s", "hello")).text == "no"
