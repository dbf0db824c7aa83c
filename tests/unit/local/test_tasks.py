"""The task list of a session: kept in its journal, inherited by forks, readable at any place."""

from __future__ import annotations

import pytest

from actors.domain import records as r
from actors.domain.tasks import Task, TaskStatus
from actors.errors import CommandConflict, InvalidRequest, SessionEnded, SessionNotFound
from tests.unit.local.runtimes import config, records, runtime, says, session

_PLAN = [{"id": "1", "content": "Read"}, {"id": "2", "content": "Write", "status": "inprogress", "dependencies": ["1"]}]
_READ = Task(id="1", content="Read")
_WRITE = Task(id="2", content="Write", status=TaskStatus.in_progress, dependencies=("1",))


async def test_a_new_session_has_no_tasks_and_a_list_is_replaced_whole() -> None:
    async with session(config(says("yes"))) as handle:
        assert await handle.tasks() == ()

        assert await handle.set_tasks(_PLAN) == (_READ, _WRITE)
        assert await handle.set_tasks([_WRITE]) == (_WRITE,) == await handle.tasks()
        assert [one.data.tasks for one in await records(handle, r.TasksUpdated)] == [(_READ, _WRITE), (_WRITE,)]


async def test_a_list_is_kept_over_hibernation_and_forks_and_is_readable_as_it_was() -> None:
    async with runtime() as manager:
        handle = await manager.create_session("s", config(says("yes")))
        await manager.set_tasks("s", _PLAN)
        then = (await handle.info()).head_seq
        await manager.set_tasks("s", [])
        await handle.hibernate()
        await manager.fork_session("s", "f", at=then)

        assert await manager.get_tasks("s") == ()
        assert await handle.tasks(at=then) == await manager.get_tasks("f") == (_READ, _WRITE)


async def test_the_same_list_and_the_same_command_change_nothing() -> None:
    async with session(config(says("yes"))) as handle:
        await handle.set_tasks(_PLAN, command_id="k")
        await handle.set_tasks(_PLAN)
        await handle.set_tasks(_PLAN, command_id="k")

        assert len(await records(handle, r.TasksUpdated)) == 1
        with pytest.raises(CommandConflict):
            await handle.set_tasks([], command_id="k")


async def test_what_is_refused() -> None:
    async with runtime() as manager:
        handle = await manager.create_session("s", config(says("yes")))
        with pytest.raises(InvalidRequest, match="id of its own"):
            await handle.set_tasks([_READ, _READ])
        with pytest.raises(InvalidRequest, match="content"):
            await handle.set_tasks([{"id": "1"}])
        with pytest.raises(SessionNotFound):
            await manager.get_tasks("nobody")
        with pytest.raises(SessionNotFound):
            await manager.set_tasks("nobody", [])
        await handle.complete()
        with pytest.raises(SessionEnded):
            await handle.set_tasks(_PLAN)
