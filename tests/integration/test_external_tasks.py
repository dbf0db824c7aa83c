"""External tasks in a runtime on Ray: found and completed by another driver, though the session dies."""

from __future__ import annotations

from actors import (
    ExternalTaskResult,
    LaneHandlerConfig,
    SessionConfig,
    SessionLane,
    SessionManager,
    SessionQueueConfig,
    TaskHandlerMode,
)
from actors.domain import records as r
from tests.integration.crash_site import BOUND_S, kill_all
from tests.integration.runtimes import NewId
from tests.integration.waiting import event_of

OUTSIDE = LaneHandlerConfig(mode=TaskHandlerMode.external, timeout_ms=3_600_000)


async def test_a_worker_in_another_driver_completes_a_task_though_the_sessions_process_was_killed(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    queue = SessionQueueConfig(lane_handlers={SessionLane.execute: OUTSIDE})
    session = await crashing.create_session(new_id(), permissive.changed(queue_config=queue))
    receipt = await session.send('/tool bash {"command": "echo inside"}\n/say done')
    await event_of(session, r.TaskOffered)

    worker = await SessionManager.connect(settings=crashing.settings)
    tasks = (await worker.external_tasks()).items
    (task,) = [one for one in tasks if one.session_id == session.session_id]
    claimed = await worker.lease_external_task(session.session_id, task.task_id, worker="w", lease_s=600)
    await kill_all(crashing.settings.runtime, "session")
    assert claimed.lease is not None
    result = ExternalTaskResult(success=True, result={"output": "done outside"})
    for _ in range(2):
        assert await worker.complete_external_task(
            session.session_id, task.task_id, result, lease_id=claimed.lease.lease_id
        )

    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "done"
    types = [record.type for record in await session.records(limit=1000)]
    assert types.count("tool.call.started") == types.count("task.completed") == 1
    assert types.count("tool.call.completed") == 1
