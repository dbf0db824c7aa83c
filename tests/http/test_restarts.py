"""Everything ends between a question and its answer: a runtime on a copy of the database made in that moment goes on.

The answer is given in the next runtime, from Python and over HTTP, and the call runs exactly as often as was decided.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors import (
    ConfirmationPolicy,
    ExternalTaskResult,
    LaneHandlerConfig,
    PermissionPolicy,
    SessionConfig,
    SessionLane,
    SessionManager,
    SessionQueueConfig,
    Settings,
    TaskHandlerMode,
    TimeoutAction,
    errors,
)
from actors.domain import records as r
from actors.domain.actions import Action, ActionKind
from actors.domain.events import ToolOutputDelta
from actors.domain.turns import Receipt
from actors.handle import SessionHandle
from actors.storage.copies import back_up
from serve_app.app import create_app

LIMIT_S = 20.0
"""Longest wait for anything; nothing here takes a tenth of it."""

HOUR_MS = 3_600_000

ALLOWED = SessionConfig(permission_policy=PermissionPolicy.permissive())
ASKING = SessionConfig(confirmation_policy=ConfirmationPolicy(default_timeout_ms=HOUR_MS))
_TO_OTHERS = LaneHandlerConfig(mode=TaskHandlerMode.external, timeout_ms=HOUR_MS)
OUTSIDE = ALLOWED.changed(queue_config=SessionQueueConfig(lane_handlers={SessionLane.execute: _TO_OTHERS}))


@dataclass
class Site:
    """A workspace, and the databases of runtimes that follow each other in it."""

    directory: Path
    crashes: int = 0
    prompt: str = field(init=False)

    def __post_init__(self) -> None:
        self.prompt = self.calling("echo ran >> lines; echo begun")

    def calling(self, script: str) -> str:
        """What makes the model run a line of bash once, then answer."""
        return f"/tool bash {json.dumps({'command': script})}\n/say done"

    @property
    def runs(self) -> int:
        """How often the line was run."""
        lines = self.directory / "lines"
        return len(lines.read_text().split()) if lines.exists() else 0

    @asynccontextmanager
    async def runtime(self) -> AsyncGenerator[SessionManager]:
        """A runtime on the present database."""
        settings = Settings(workspace=str(self.directory))
        store = f"sqlite:///{self.directory / f'{self.crashes}.db'}"
        async with await SessionManager.local("scripted/prompt", store=store, settings=settings) as manager:
            async with asyncio.timeout(LIMIT_S):
                yield manager

    async def crash(self) -> None:
        """What is committed by now is all that the next runtime will know."""
        now, after = (self.directory / f"{number}.db" for number in (self.crashes, self.crashes + 1))
        await asyncio.to_thread(back_up, f"sqlite:///{now}", after)
        self.crashes += 1


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


Decide = Callable[[SessionManager, Action, dict[str, Any]], Awaitable[None]]


async def _in_python(manager: SessionManager, action: Action, decision: dict[str, Any]) -> None:
    await manager.resolve_action(action.session_id, action.action_id, **decision)


async def _over_http(manager: SessionManager, action: Action, decision: dict[str, Any]) -> None:
    path = f"/v1/sessions/{action.session_id}/actions/{action.action_id}"
    async with _client(manager) as http:
        answer = await http.post(path, json=decision)
    if answer.status_code == 409:
        raise errors.ActionSettled(action.action_id, "approve")
    assert answer.status_code == 204, answer.text


def _client(manager: SessionManager) -> httpx.AsyncClient:
    async def manager_of() -> SessionManager:
        return manager

    transport = httpx.ASGITransport(create_app(manager_of))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.fixture(params=[_in_python, _over_http], ids=["python", "http"])
def decide(request: pytest.FixtureRequest) -> Decide:
    return request.param


async def _asked(handle: SessionHandle, kind: type[Any] = r.ActionRequested) -> None:
    async with aclosing(handle.events(follow=True)) as events:  # pyright: ignore[reportArgumentType] - it is an async generator
        async for event in events:
            if isinstance(event, kind):
                return
    raise AssertionError("a journal has no end")


async def _until_asked(site: Site, config: SessionConfig) -> Receipt:
    """A session asks about a call, and everything ends."""
    async with site.runtime() as manager:
        one = await manager.create_session("s", config)
        receipt = await one.send(site.prompt)
        await _asked(one)
        await site.crash()
    return receipt


@pytest.mark.parametrize(("resolution", "runs"), [("approve", 1), ("reject", 0)])
async def test_an_approval_is_given_in_the_next_runtime(site: Site, decide: Decide, resolution: str, runs: int) -> None:
    receipt = await _until_asked(site, ASKING)
    async with site.runtime() as manager:
        (action,) = (await manager.actions()).items
        decision = {"resolution": resolution, "args_digest": action.args_digest}
        await decide(manager, action, decision)
        assert (await manager.wait_turn("s", receipt)).text == "done"
        with pytest.raises(errors.ActionSettled):
            await decide(manager, action, decision)
    assert site.runs == runs


async def test_a_decision_that_was_carried_out_as_everything_ended_is_not_carried_out_again(site: Site) -> None:
    receipt = await _until_asked(site, ASKING)
    async with site.runtime() as manager:
        one = await manager.get_session("s")
        (action,) = await one.actions()
        await _over_http(manager, action, {"resolution": "approve"})
        await one.wait_turn(receipt)
        await site.crash()
    async with site.runtime() as manager:
        assert (await manager.wait_turn("s", receipt)).text == "done"
        with pytest.raises(errors.ActionSettled):
            await _in_python(manager, action, {"resolution": "approve"})
    assert site.runs == 1


async def test_of_decisions_from_both_sides_in_the_next_runtime_one_counts(site: Site) -> None:
    receipt = await _until_asked(site, ASKING)
    async with site.runtime() as manager:
        (action,) = (await manager.actions()).items
        deciding = [way(manager, action, {"resolution": "approve"}) for way in (_in_python, _over_http) * 4]
        answers = await asyncio.gather(*deciding, return_exceptions=True)
        assert sum(answer is None for answer in answers) == 1
        assert all(answer is None or isinstance(answer, errors.ActionSettled) for answer in answers)
        assert (await manager.wait_turn("s", receipt)).text == "done"
    assert site.runs == 1


@pytest.mark.parametrize(
    ("decide", "resolution", "runs"), [(_in_python, "skip", 1), (_over_http, "retry", 2), (_over_http, "answer", 1)]
)
async def test_a_call_that_was_under_way_is_decided_in_the_next_runtime(
    site: Site, decide: Decide, resolution: str, runs: int
) -> None:
    async with site.runtime() as manager:
        one = await manager.create_session("s", ALLOWED)
        # All that it leaves is there when it says that it has begun: it is ended at any time from then on.
        line = 'test -e again && again=1; touch again; echo ran >> lines; echo begun; test -n "$again" || sleep 300'
        receipt = await one.send(site.calling(line))
        await _asked(one, ToolOutputDelta)
        await site.crash()
    async with site.runtime() as manager:
        await _asked(await manager.get_session("s"))
        await site.crash()
    async with site.runtime() as manager:
        (action,) = (await manager.actions()).items
        assert action.kind is ActionKind.in_doubt
        value = {"value": "it had run"} if resolution == "answer" else {}
        await decide(manager, action, {"resolution": resolution, **value})
        assert (await manager.wait_turn("s", receipt)).text == "done"
    assert site.runs == runs


async def test_files_that_are_lost_are_asked_about_and_decided_in_the_next_runtime(
    site: Site, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.runtime() as manager:
        one = await manager.create_session("s", ALLOWED)
        await one.generate(site.calling("true"))
        await site.crash()
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    async with site.runtime() as manager:
        one = await manager.get_session("s")
        receipt = await one.send(site.prompt)
        await _asked(one)
        await site.crash()
    async with site.runtime() as manager:
        (action,) = (await manager.actions()).items
        assert (action.kind, site.runs) == (ActionKind.workspace_lost, 0)
        await decide(manager, action, {"resolution": "approve"})
        assert (await manager.wait_turn("s", receipt)).text == "done"
    assert site.runs == 1


@pytest.mark.parametrize("over_http", [False, True], ids=["python", "http"])
async def test_a_task_for_somebody_outside_is_completed_in_the_next_runtime(site: Site, over_http: bool) -> None:
    async with site.runtime() as manager:
        one = await manager.create_session("s", OUTSIDE)
        receipt = await one.send(site.prompt)
        await _asked(one, r.TaskOffered)
        await site.crash()
    async with site.runtime() as manager:
        (task,) = (await manager.external_tasks()).items
        result = {"success": True, "result": {"output": "done outside"}}
        for _ in range(2):
            if over_http:
                async with _client(manager) as http:
                    answer = await http.post(f"/v1/sessions/s/external-tasks/{task.task_id}", json=result)
                    assert answer.is_success, answer.text
            else:
                given = ExternalTaskResult.model_validate(result)
                assert await manager.complete_external_task("s", task.task_id, given)
        assert (await manager.wait_turn("s", receipt)).text == "done"
        ends = [one.type for one in await manager.records("s", limit=1000)]
        assert (ends.count("task.completed"), site.runs) == (1, 0)


async def test_time_that_runs_out_while_nothing_runs_decides_when_the_next_runtime_starts(site: Site) -> None:
    receipts: dict[TimeoutAction, Receipt] = {}
    async with site.runtime() as manager:
        for choice in TimeoutAction:
            # Long enough for a copy of the database on a busy machine, and waited for once.
            policy = ConfirmationPolicy(default_timeout_ms=2500, timeout_action=choice)
            one = await manager.create_session(choice, SessionConfig(confirmation_policy=policy))
            receipts[choice] = await one.send(site.prompt)
            await _asked(one)
        await site.crash()
        for choice, receipt in receipts.items():
            await manager.wait_turn(choice, receipt)
    assert site.runs == 1
    async with site.runtime() as manager:
        for choice, receipt in receipts.items():
            assert (await manager.wait_turn(choice, receipt)).text == "done"
            (action,) = (await manager.actions(choice, pending=False)).items
            expected = "reject" if choice is TimeoutAction.reject else "approve"
            assert (action.resolution, action.resolved_by) == (expected, "timeout")
            told = await manager.records(choice, limit=1000)
            (asked,) = [one for one in told if isinstance(one, r.ActionRequested)]
            (fired,) = [one for one in told if isinstance(one, r.TimerFired)]
            assert fired.epoch > asked.epoch, "it was decided before everything ended"
    assert site.runs == 2
