"""Somebody outside who does what sessions hand out: claims a task, does it, and says so, each until it is sure."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from actors import ExternalTask, ExternalTaskResult, SessionManager
from actors.errors import GreenroomError
from tests.chaos.clerk import PAGE, ROUND_S, TRY_S
from tests.chaos.given_tools import appended

LEASE_S = 600.0
"""Longer than a round: a claim of this worker is never over."""


class Worker:
    """Takes the place of the tools of sessions whose lane is external.

    Attributes:
        done: The tasks that were carried out.
    """

    def __init__(self, manager: SessionManager) -> None:
        self.done: set[str] = set()
        self._manager = manager

    async def work(self) -> None:
        """Work until cancelled."""
        while True:
            # Where an answer is lost, or a task was taken back, what is still there is seen at the next look.
            with suppress(GreenroomError):
                tasks = (await self._manager.external_tasks(limit=PAGE)).items
                # Side by side: a session that finds no place for a while does not hold up the tasks of others.
                await asyncio.gather(*map(self._try, tasks))
            await asyncio.sleep(ROUND_S)

    async def _try(self, task: ExternalTask) -> None:
        with suppress(GreenroomError, TimeoutError):
            async with asyncio.timeout(TRY_S):
                await self._do(task)

    async def _do(self, task: ExternalTask) -> None:
        about = (task.session_id, task.task_id)
        # The same command, so the same claim, however often it is asked for.
        claimed = await self._manager.lease_external_task(
            *about, worker="outside", lease_s=LEASE_S, command_id=f"claim-{task.task_id}"
        )
        assert claimed.lease is not None
        if task.task_id not in self.done:
            self.done.add(task.task_id)
            # What is noted as done is done, also when the time for this try is over.
            await asyncio.shield(asyncio.to_thread(appended, task.payload["path"], task.payload["word"]))
        result = ExternalTaskResult(success=True, result={"output": task.payload["word"]})
        await self._manager.complete_external_task(*about, result, lease_id=claimed.lease.lease_id)
