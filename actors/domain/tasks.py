"""A session's task list: what is to be done, as people, programs and its model keep it. It runs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, model_validator

from actors.domain.base import Frozen, one_line

MAX_TASKS = 200
"""Tasks of a list: more than a model keeps in view, and each change writes the whole list down."""

MAX_TASKS_BYTES = 128 * 1024
"""Bytes of a list as JSON: it stands in one record, and in every snapshot."""


class TaskStatus(StrEnum):
    """How a task stands."""

    pending = "pending"
    in_progress = "in_progress"
    completed = "completed"
    failed = "failed"
    skipped = "skipped"
    cancelled = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether something is still to be done."""
        return self in {TaskStatus.pending, TaskStatus.in_progress}


class TaskPriority(StrEnum):
    """How urgent a task is."""

    high = "high"
    medium = "medium"
    low = "low"


_STATUSES = frozenset(status.value for status in TaskStatus)
_PRIORITIES = frozenset(priority.value for priority in TaskPriority)
_STATUS_WORDS = {"inprogress": "in_progress", "done": "completed", "canceled": "cancelled"}
_PRIORITY_WORDS = {"h": "high", "1": "high", "m": "medium", "med": "medium", "2": "medium", "l": "low", "3": "low"}


def _status(value: Any) -> Any:
    """Models write these words themselves: common variants are understood, others begin at the start."""
    word = str(value).strip().lower()
    word = _STATUS_WORDS.get(word, word)
    return word if word in _STATUSES else TaskStatus.pending


def _priority(value: Any) -> Any:
    word = str(value).strip().lower()
    word = _PRIORITY_WORDS.get(word, word)
    return word if word in _PRIORITIES else TaskPriority.medium


TaskId = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(one_line)]


class Task(Frozen):
    """One entry of the list.

    Attributes:
        id: Unique in its list.
        content: What is to be done; ``description`` is taken for it too.
        status: Unknown words are ``pending``; ``inprogress``, ``done`` and ``canceled`` are understood.
        priority: Unknown words are ``medium``; ``h``, ``1``, ``med``, ``2`` and so on are understood.
        tool: The tool it is done with, if it is known.
        dependencies: Ids of tasks that come before it; they need not be in the list.
        success_criteria: When it is done.
    """

    id: TaskId
    content: str = Field(min_length=1, max_length=4096)
    status: Annotated[TaskStatus, BeforeValidator(_status)] = TaskStatus.pending
    priority: Annotated[TaskPriority, BeforeValidator(_priority)] = TaskPriority.medium
    tool: str | None = Field(default=None, max_length=128)
    dependencies: tuple[TaskId, ...] = Field(default=(), max_length=MAX_TASKS)
    success_criteria: str | None = Field(default=None, max_length=4096)

    @model_validator(mode="before")
    @classmethod
    def _described(cls, value: Any) -> Any:
        if isinstance(value, dict) and "content" not in value and "description" in value:
            return {("content" if key == "description" else key): one for key, one in value.items()}
        return value


def _whole(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    ids = [task.id for task in tasks]
    if len(set(ids)) < len(ids):
        raise ValueError("each task of a list has an id of its own")
    if sum(len(task.model_dump_json().encode()) for task in tasks) > MAX_TASKS_BYTES:
        raise ValueError(f"a task list has at most {MAX_TASKS_BYTES // 1024} KiB")
    return tasks


TaskList = Annotated[tuple[Task, ...], Field(max_length=MAX_TASKS), AfterValidator(_whole)]
"""A list as it can be kept: ids are unique, and it is bounded."""

TASKS: TypeAdapter[tuple[Task, ...]] = TypeAdapter(TaskList)
"""Reads lists."""


def active_count(tasks: Iterable[Task]) -> int:
    """How many of the tasks are pending or in progress."""
    return sum(task.status.is_active for task in tasks)
