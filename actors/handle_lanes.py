"""Who carries out a session's tool calls, and the calls that wait for somebody outside: a part of ``SessionHandle``."""

from __future__ import annotations

import re

from actors.checks import MAX_PAGE, checked_choice, checked_command
from actors.domain import commands as c
from actors.domain.actions import Action, ActionKind
from actors.domain.commands import MAX_LEASE_MS
from actors.domain.external_tasks import ExternalTask, ExternalTaskResult
from actors.domain.ids import derived_id
from actors.domain.lanes import DeadLetter, LaneCounts, LaneHandlerConfig, QueueStats, SessionQueueConfig
from actors.domain.policies import SessionLane
from actors.domain.records import ToolCallLate
from actors.errors import CommandConflict, ExternalTaskNotFound, ExternalTaskSettled, InvalidRequest, TaskLeaseLost
from actors.handle_commands import SessionCommands
from actors.session.external import output_of
from actors.session.lanes import stats

_TASK_ID = re.compile(r"task_[0-9a-f]{20}")


class SessionLanes(SessionCommands):
    """The part of ``SessionHandle`` that is about lanes and external tasks."""

    async def get_lane_handler(self, lane: SessionLane | str) -> LaneHandlerConfig:
        """Who carries out the calls of a lane."""
        wanted = checked_choice("lane", SessionLane, lane)
        return (await self.config()).queue.handler_config(wanted)

    async def set_lane_handler(
        self, lane: SessionLane | str, handler: LaneHandlerConfig, *, command_id: str | None = None
    ) -> LaneHandlerConfig:
        """Change who carries out the calls of a lane, from the next one that begins on; returns what is in force."""
        wanted = checked_choice("lane", SessionLane, lane)
        identity = self._identity(command_id)
        await self._do(checked_command(lambda: c.SetLaneHandler(**identity, lane=wanted, handler=handler)))
        return await self.get_lane_handler(wanted)

    async def set_queue_config(self, queue: SessionQueueConfig | None, *, command_id: str | None = None) -> None:
        """Replace the whole configuration of the lanes, handlers included; None removes it, and with it all limits."""
        await self._configure({"queue_config": queue}, command_id)

    async def queue_stats(self) -> QueueStats:
        """How many calls of each lane wait, and are under way, now."""
        return stats(await self._state())

    async def queue_metrics(self) -> dict[SessionLane, LaneCounts] | None:
        """What became of calls, by lane; None unless the lanes count (``enable_metrics``)."""
        state = await self._state()
        if not state.config.queue.enable_metrics:
            return None
        return {lane: state.lane_counts.get(lane, LaneCounts()) for lane in SessionLane}

    async def dead_letters(self) -> list[DeadLetter]:
        """The newest calls that failed for good, oldest first; empty unless they are kept (``enable_dlq``)."""
        return list((await self._state()).dead_letters)

    async def pending_external_tasks(self) -> list[ExternalTask]:
        """The calls of the open turn that wait for somebody outside, in the calls' order."""
        return [ExternalTask.of(task) for task in (await self._state()).external_tasks]

    async def lease_external_task(
        self,
        task_id: str,
        *,
        worker: str,
        lease_s: float = 60.0,
        lease_id: str | None = None,
        command_id: str | None = None,
    ) -> ExternalTask:
        """Claim a task, so that nobody else works on it; its ``lease.lease_id`` goes with the result.

        Args:
            worker: Who claims it, for people to read; at most 128 characters.
            lease_s: Seconds after which the claim is over unless it is prolonged; a day at most. A task whose worker
                is not heard of again is offered anew, or is in doubt when a second run could do harm.
            lease_id: A claim that is to be prolonged by ``lease_s`` from now.
            command_id: Makes the command repeatable.

        Raises:
            TaskLeased: somebody else has it. ExternalTaskSettled: it has an outcome. ExternalTaskNotFound.
            TaskLeaseLost: the claim that was to be prolonged is over.
        """
        if not 0 < lease_s * 1000 <= MAX_LEASE_MS:
            raise InvalidRequest(f"lease_s is more than 0, and at most {MAX_LEASE_MS // 1000} seconds.")
        identity = self._identity(command_id)
        claim = lease_id or derived_id("lease_", self.journal_id, identity["command_id"])
        command = checked_command(
            lambda: c.LeaseTask(
                **identity,
                task_id=task_id,
                lease_id=claim,
                prolongs=lease_id is not None,
                worker=worker,
                lease_ms=round(lease_s * 1000),
            )
        )
        try:
            await self._do(command)
        except ExternalTaskNotFound:
            await self._refuse_settled(task_id)
            raise
        for task in await self.pending_external_tasks():
            if task.task_id == task_id and task.lease is not None and task.lease.lease_id == claim:
                return task
        raise TaskLeaseLost(task_id)

    async def complete_external_task(
        self, task_id: str, result: ExternalTaskResult, *, lease_id: str | None = None
    ) -> bool:
        """Say what came of a task: the call has its outcome, and the turn goes on.

        Saying the same again is fine, and changes nothing. A task settles once, and its call is never run again by
        itself, whatever the result is.

        Args:
            lease_id: The claim under which it was carried out; needed when the task is claimed.

        Returns:
            False when the session has no such task.

        Raises:
            ExternalTaskSettled: it has another outcome already: another result, or its time was over. In the second
                case the result is in the journal all the same, as ``tool.call.late``.
            TaskLeaseLost: the task is claimed under another lease, or under none.
            InvalidRequest: the result of a success is not of the form that ``ExternalTaskResult`` tells.
        """
        if not _TASK_ID.fullmatch(task_id):
            await self.info()
            return False
        if result.success:
            output_of(result.result)
        # A task has one result: its command is named after it, so that the store keeps the first and knows a second.
        command = checked_command(
            lambda: c.CompleteTask(command_id=f"complete:{task_id}", task_id=task_id, result=result, lease_id=lease_id)
        )
        try:
            reply = await self._do(command)
        except CommandConflict:
            await self._refuse_settled(task_id)
            raise
        except ExternalTaskNotFound:
            await self._refuse_settled(task_id)
            return False
        if reply.record == ToolCallLate.model_fields["type"].default:
            await self._refuse_settled(task_id)
        return True

    async def _refuse_settled(self, task_id: str) -> None:
        """Say how the task was settled, when it was."""
        task = await self._known_task(task_id)
        if task is not None and task.resolution is not None:
            raise ExternalTaskSettled(task_id, task.resolution)

    async def _known_task(self, task_id: str) -> Action | None:
        store, after = self._runtime.store, None
        while True:
            page, after = await store.actions(
                self._tenant,
                journal_id=self.journal_id,
                pending=False,
                kind=ActionKind.external_task,
                after=after,
                limit=MAX_PAGE,
            )
            for action in page:
                if action.action_id == task_id:
                    return action
            if after is None:
                return None
