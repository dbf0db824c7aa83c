"""Lanes and external tasks, by session id: each looks the session up and delegates to its ``SessionHandle``."""

from __future__ import annotations

from actors.checks import checked_limit
from actors.domain.actions import ActionKind
from actors.domain.external_tasks import ExternalTask, ExternalTaskResult
from actors.domain.lanes import DeadLetter, LaneCounts, LaneHandlerConfig, QueueStats, SessionQueueConfig
from actors.domain.policies import SessionLane
from actors.manager_lookup import Page, SessionLookup


class LaneOperations(SessionLookup):
    """What ``SessionManager`` does about lanes and external tasks."""

    async def get_lane_handler(self, session_id: str, lane: SessionLane | str) -> LaneHandlerConfig:
        """See ``SessionHandle.get_lane_handler``."""
        return await (await self._session(session_id)).get_lane_handler(lane)

    async def set_lane_handler(
        self, session_id: str, lane: SessionLane | str, handler: LaneHandlerConfig, *, command_id: str | None = None
    ) -> LaneHandlerConfig:
        """See ``SessionHandle.set_lane_handler``."""
        return await (await self._session(session_id)).set_lane_handler(lane, handler, command_id=command_id)

    async def set_queue_config(
        self, session_id: str, queue: SessionQueueConfig | None, *, command_id: str | None = None
    ) -> None:
        """See ``SessionHandle.set_queue_config``."""
        await (await self._session(session_id)).set_queue_config(queue, command_id=command_id)

    async def queue_stats(self, session_id: str) -> QueueStats:
        """See ``SessionHandle.queue_stats``."""
        return await (await self._session(session_id)).queue_stats()

    async def queue_metrics(self, session_id: str) -> dict[SessionLane, LaneCounts] | None:
        """See ``SessionHandle.queue_metrics``."""
        return await (await self._session(session_id)).queue_metrics()

    async def dead_letters(self, session_id: str) -> list[DeadLetter]:
        """See ``SessionHandle.dead_letters``."""
        return await (await self._session(session_id)).dead_letters()

    async def pending_external_tasks(self, session_id: str) -> list[ExternalTask]:
        """See ``SessionHandle.pending_external_tasks``."""
        return await (await self._session(session_id)).pending_external_tasks()

    async def external_tasks(self, *, limit: int = 100, after: str | None = None) -> Page[ExternalTask]:
        """What somebody outside can do for any session of the tenant, oldest first; claimed tasks are among them.

        Args:
            limit: Tasks of the page, 1 to 1,000.
            after: The ``next`` of the page before.
        """
        kind = ActionKind.external_task
        rows, cursor = await self._runtime.store.actions(
            self.tenant, kind=kind, after=after, limit=checked_limit(limit)
        )
        return Page[ExternalTask](items=tuple(map(ExternalTask.of, rows)), next=cursor)

    async def lease_external_task(
        self,
        session_id: str,
        task_id: str,
        *,
        worker: str,
        lease_s: float = 60.0,
        lease_id: str | None = None,
        command_id: str | None = None,
    ) -> ExternalTask:
        """See ``SessionHandle.lease_external_task``."""
        session = await self._session(session_id)
        return await session.lease_external_task(
            task_id, worker=worker, lease_s=lease_s, lease_id=lease_id, command_id=command_id
        )

    async def complete_external_task(
        self, session_id: str, task_id: str, result: ExternalTaskResult, *, lease_id: str | None = None
    ) -> bool:
        """See ``SessionHandle.complete_external_task``."""
        return await (await self._session(session_id)).complete_external_task(task_id, result, lease_id=lease_id)
