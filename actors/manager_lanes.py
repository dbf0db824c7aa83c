"""Lanes and external tasks, by session id: each looks the session up and delegates to its ``SessionHandle``."""

from __future__ import annotations

from actors.domain.external_tasks import ExternalTask, ExternalTaskResult
from actors.domain.lanes import LaneHandlerConfig
from actors.domain.policies import SessionLane
from actors.manager_lookup import SessionLookup


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

    async def pending_external_tasks(self, session_id: str) -> list[ExternalTask]:
        """See ``SessionHandle.pending_external_tasks``."""
        return await (await self._session(session_id)).pending_external_tasks()

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
