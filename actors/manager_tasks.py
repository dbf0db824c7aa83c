"""The task lists of sessions: the part of ``SessionManager`` about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actors.domain.tasks import Task
from actors.manager_lookup import SessionLookup


class TaskOperations(SessionLookup):
    """What ``SessionManager`` does with task lists."""

    async def get_tasks(self, session_id: str) -> tuple[Task, ...]:
        """See ``SessionHandle.tasks``."""
        return await (await self._session(session_id)).tasks()

    async def set_tasks(
        self, session_id: str, tasks: Iterable[Task | dict[str, Any]], *, command_id: str | None = None
    ) -> tuple[Task, ...]:
        """See ``SessionHandle.set_tasks``."""
        return await (await self._session(session_id)).set_tasks(tasks, command_id=command_id)
