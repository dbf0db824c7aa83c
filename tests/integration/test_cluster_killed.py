"""Every process of a cluster is killed at once while sessions wait for people; another one goes on with its store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from actors import SessionManager, errors
from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.turns import Receipt
from serve_app.app import create_app
from tests.integration.crash_site import BOUND_S
from tests.integration.processes import descendants, none_left
from tests.integration.runtimes import MakeRuntime, runtime_name
from tests.integration.waiting import action_of

ROOT = Path(__file__).parents[2]

_ENDS_HERE = """
import asyncio, json, sys
from actors import ConfirmationPolicy, PermissionPolicy, SessionConfig, SessionManager, Settings
from actors.domain.events import ToolOutputDelta
from actors.domain.records import ActionRequested

ASKING = SessionConfig(confirmation_policy=ConfirmationPolicy(default_timeout_ms=3_600_000))
ALLOWED = SessionConfig(permission_policy=PermissionPolicy.permissive())

async def until(session, kind):
    async for event in session.events(follow=True):
        if isinstance(event, kind):
            return

def line(script):
    return "/tool bash " + json.dumps({"command": script}) + "\\n/say done"

async def main(runtime, directory):
    settings = Settings(runtime=runtime, workspace=directory, min_warm=1, spare_warm=0)
    manager = await SessionManager.with_persistence("scripted/prompt", directory, settings=settings)
    receipts = {}
    for name in ("python", "http"):
        session = await manager.create_session(name, ASKING)
        receipts[name] = (await session.send(line(f"echo {name} >> lines"))).model_dump()
        await until(session, ActionRequested)
    session = await manager.create_session("running", ALLOWED)
    receipts["running"] = (await session.send(line("echo running >> lines; echo begun; sleep 300"))).model_dump()
    await until(session, ToolOutputDelta)
    print(json.dumps(receipts), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def _killed_in_the_middle(directory: Path) -> dict[str, Receipt]:
    """What sessions of a cluster were in the middle of when all of its processes were killed."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", _ENDS_HERE, runtime_name(), str(directory)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        async with asyncio.timeout(BOUND_S):
            while not (said := await program.stdout.readline()).startswith(b"{"):
                assert said, "the program ended"
    finally:
        doomed = {program.pid, *descendants(program.pid)}
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await program.wait()
    assert await asyncio.to_thread(none_left, doomed, BOUND_S) == []
    return {name: Receipt.model_validate(one) for name, one in json.loads(said).items()}


async def test_what_a_killed_cluster_waited_for_is_decided_in_the_next_one_and_runs_once(
    fresh_runtime: MakeRuntime, tmp_path: Path
) -> None:
    receipts = await _killed_in_the_middle(tmp_path)
    manager = await fresh_runtime(directory=tmp_path, workspace=str(tmp_path))

    async def manager_of() -> SessionManager:
        return manager

    transport = httpx.ASGITransport(create_app(manager_of))
    in_doubt = await action_of(await manager.get_session("running"))
    asked = {one.session_id: one for one in (await manager.actions()).items if one.kind is ActionKind.approval}
    assert set(asked) == {"python", "http"}
    await manager.resolve_action("python", asked["python"].action_id, "approve")
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        for one, decision in (
            (asked["http"], {"resolution": "approve", "args_digest": asked["http"].args_digest}),
            (in_doubt, {"resolution": "answer", "value": "it had run"}),
        ):
            path = f"/v1/sessions/{one.session_id}/actions/{one.action_id}"
            assert (await http.post(path, json=decision)).status_code == 204
            assert (await http.post(path, json=decision)).json()["code"] == "ActionSettled"
    with pytest.raises(errors.ActionSettled):
        await manager.resolve_action("python", asked["python"].action_id, "approve")

    for name, receipt in receipts.items():
        assert (await manager.wait_turn(name, receipt, timeout=BOUND_S)).text == "done"
        told = await manager.records(name, limit=1000)
        assert sum(isinstance(one, r.ToolCallStarted) for one in told) == 1
        assert [one.seq for one in told] == list(range(1, len(told) + 1))
    assert sorted((tmp_path / "lines").read_text().split()) == ["http", "python", "running"]
