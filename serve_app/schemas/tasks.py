"""Task lists."""

from __future__ import annotations

from actors.domain.tasks import TaskList
from serve_app.schemas.base import Body


class SetTasks(Body):
    """A whole task list."""

    tasks: TaskList
