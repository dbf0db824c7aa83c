"""More than one client of a runtime, and what stands in the way of starting one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
import ray

from actors import SessionConfig, SessionManager, Settings, errors
from actors.cluster.links import actor_names
from actors.domain.records import TurnCompleted
from tests.integration.runtimes import MODEL, MakeRuntime, NewId, runtime_name
from tests.integration.waiting import LONG_S, event_of, until

ROOT = Path(__file__).parents[2]

ANOTHER_PROGRAM = """
import asyncio, json, sys
from actors import SessionManager, Settings, errors

async def main(runtime, address, session_id):
    settings = Settings(runtime=runtime, ray_address=address)
    async with await SessionManager.connect(settings=settings) as manager:
        answer = await manager.generate(session_id, "from another program", timeout=60)
        events = [event.type async for event in manager.events(session_id)]
        await manager.create_session(session_id + "-second")
    try:
        await SessionManager.connect(settings=settings.model_copy(update={"runtime": "nobody"}))
    except errors.RuntimeNotFound as exc:
        missing = exc.message
    print(json.dumps({"text": answer.text, "events": events, "missing": missing}))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_managers_of_one_process_share_everything(runtime: SessionManager, new_id: NewId) -> None:
    async with await SessionManager.connect(settings=Settings(runtime=runtime.settings.runtime)) as other:
        session = await runtime.create_session(new_id())
        assert (await other.generate(session.session_id, "through the other", timeout=LONG_S)).text
        assert await other.history(session.session_id) == await session.history()
        watching = asyncio.create_task(event_of(await other.get_session(session.session_id), TurnCompleted, nth=2))
        await session.generate("seen by both")
        assert (await watching).data.text == "seen by both"
        await other.destroy_session(session.session_id)
        with pytest.raises(errors.SessionNotFound):
            await session.generate("gone")
    assert (await (await runtime.create_session(new_id())).generate("alive", timeout=LONG_S)).text == "alive"


async def test_another_program_joins_a_running_runtime(runtime: SessionManager, new_id: NewId) -> None:
    session = await runtime.create_session(new_id())
    await session.add_message("from the first program")
    address = ray.get_runtime_context().gcs_address
    arguments = ("-c", ANOTHER_PROGRAM, runtime.settings.runtime, address, session.session_id)
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(2 * LONG_S):
        out, err = await program.communicate()
    assert program.returncode == 0, err.decode()
    told = json.loads(out.decode().splitlines()[-1])
    assert told["text"] == "from another program"
    assert told["events"][-1] == "turn.completed"
    assert "'nobody'" in told["missing"]
    assert [message.text for message in await session.history()][0] == "from the first program"
    assert (await runtime.get_info(f"{session.session_id}-second")).state == "active"


async def test_there_is_nothing_to_join_under_an_unknown_name(cluster: None) -> None:
    with pytest.raises(errors.RuntimeNotFound, match="Start one"):
        await SessionManager.connect(settings=Settings(runtime=runtime_name()))


async def test_a_second_runtime_of_a_name_is_refused_and_the_first_goes_on(
    runtime: SessionManager, new_id: NewId, tmp_path: Path
) -> None:
    with pytest.raises(errors.RuntimeExists, match="connect"):
        await SessionManager.with_persistence(MODEL, tmp_path, settings=runtime.settings)
    session = await runtime.create_session(new_id())
    assert (await session.generate("hello", timeout=LONG_S)).text == "hello"
    assert os.listdir(tmp_path) == []


async def test_everything_works_without_the_data_plane(
    fresh_runtime: MakeRuntime, new_id: NewId, tmp_path: Path, permissive: SessionConfig
) -> None:
    manager = await fresh_runtime(data_plane=False)
    session = await manager.create_session(new_id(), permissive.changed(workspace=str(tmp_path)))
    stream = await session.generate_streaming('/tool bash {"command": "echo one > file"}\nfinished')
    async with asyncio.timeout(2 * LONG_S):
        events = [event async for event in stream]
    assert isinstance(events[-1], TurnCompleted)
    assert "".join(event.text for event in events if event.type == "message.delta" and event.channel == "text")
    assert (await stream.result(timeout=LONG_S)).text == "finished"
    assert (tmp_path / "file").read_text() == "one\n"
    assert await session.hibernate()
    assert (await session.generate("hello", timeout=LONG_S)).text == "hello"
    with pytest.raises(errors.SessionExists):
        await manager.create_session(session.session_id)


async def test_a_store_belongs_to_one_runtime_and_is_free_again_when_it_ends(
    fresh_runtime: MakeRuntime, new_id: NewId, tmp_path: Path
) -> None:
    manager = await fresh_runtime(directory=tmp_path)
    session = await manager.create_session(new_id())
    await session.generate("remember me", timeout=LONG_S)
    second = runtime_name()
    with pytest.raises(errors.StoreInUse, match="connect"):
        await fresh_runtime(directory=tmp_path, runtime=second)
    await until(lambda: actor_names(f"{second}.") == [], what="actors of the refused runtime stayed")
    assert (await session.generate("still here", timeout=LONG_S)).text == "still here"
    await manager.close()

    again = await fresh_runtime(directory=tmp_path, runtime=manager.settings.runtime)
    restored = await again.restore_session_by_id(session.session_id)
    assert [message.text for message in await restored.history()][::2] == ["remember me", "still here"]
    assert (await restored.generate("and now", timeout=LONG_S)).text == "and now"


async def test_settings_that_cannot_work_are_refused_before_anything_starts(cluster: None, tmp_path: Path) -> None:
    settings = Settings(runtime=runtime_name(), workspace=str(tmp_path))
    with pytest.raises(errors.UnknownProvider, match="nosuch"):
        await SessionManager.with_persistence("nosuch/model", tmp_path / "store", settings=settings)
    with pytest.raises(errors.InvalidConfig, match="provider/model"):
        await SessionManager.with_persistence("no-slash", tmp_path / "store", settings=settings)
    with pytest.raises(errors.InvalidConfig):
        await SessionManager.with_store(MODEL, "mysql://somewhere", settings=settings)
    with pytest.raises(errors.InvalidConfig):
        await SessionManager.with_persistence(MODEL, tmp_path / "store", settings=settings, tools=["nowhere:nothing"])
    await until(lambda: actor_names(f"{settings.runtime}.") == [], what="actors of the refused runtime stayed")
