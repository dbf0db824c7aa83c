"""A session's task list: the part of ``SessionHandle`` about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actors.checks import checked_command
from actors.domain import commands as c
from actors.domain.tasks import Task
from actors.handle_commands import SessionCommands


class SessionTasks(SessionCommands):
    """The part of ``SessionHandle`` that is about the task list."""

    async def tasks(self, *, at: int | None = None) -> tuple[Task, ...]:
        """The task list, or what it was after the record with seq ``at``; a new session has none.

        Raises:
            InvalidRequest: the journal has no record ``at``.
        """
        return (await self._state(at)).tasks

    async def set_tasks(
        self, tasks: Iterable[Task | dict[str, Any]], *, command_id: str | None = None
    ) -> tuple[Task, ...]:
        """Replace the task list; readers get ``tasks.updated``. A list that is there already changes nothing.

        Args:
            tasks: At most 200 with ids of their own, 128 KiB together as JSON.
            command_id: Makes the command repeatable.

        Returns:
            The list as it was written down.

        Raises:
            InvalidRequest: a task has no content, two have one id, or they are too many.
        """
        values = self._identity(command_id) | {"tasks": tuple(tasks)}
        command = checked_command(lambda: c.SetTasks.model_validate(values))
        reply = await self._do(command)
        # What is withheld was taken out, and a list that was there already has no record.
        return (await self._state(reply.seq)).tasks
