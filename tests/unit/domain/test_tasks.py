"""Task lists as models and people write them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from actors.domain.tasks import TASKS, Task, TaskPriority, TaskStatus, active_count


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", TaskStatus.pending),
        ("In_Progress", TaskStatus.in_progress),
        ("inprogress", TaskStatus.in_progress),
        ("done", TaskStatus.completed),
        ("canceled", TaskStatus.cancelled),
        ("skipped", TaskStatus.skipped),
        ("failed", TaskStatus.failed),
        ("whatever", TaskStatus.pending),
        (None, TaskStatus.pending),
    ],
)
def test_words_for_a_status(word: object, status: TaskStatus) -> None:
    assert Task.model_validate({"id": "1", "content": "x", "status": word}).status is status


@pytest.mark.parametrize(
    ("word", "priority"),
    [("h", "high"), ("1", "high"), ("MED", "medium"), (2, "medium"), ("l", "low"), (3, "low"), ("urgent", "medium")],
)
def test_words_for_a_priority(word: object, priority: str) -> None:
    assert Task.model_validate({"id": "1", "content": "x", "priority": word}).priority is TaskPriority(priority)


def test_a_description_is_the_content() -> None:
    assert Task.model_validate({"id": "1", "description": "x"}).content == "x"


def test_active_tasks_are_those_with_something_to_do() -> None:
    tasks = [Task(id=str(number), content="x", status=status) for number, status in enumerate(TaskStatus)]

    assert active_count(tasks) == 2


@pytest.mark.parametrize(
    "broken",
    [
        [{"id": "1", "content": "x"}, {"id": "1", "content": "y"}],
        [{"id": "", "content": "x"}],
        [{"id": "a\nb", "content": "x"}],
        [{"id": "1", "content": ""}],
        [{"id": "1"}],
        [{"id": "1", "content": "x", "unknown": 1}],
        [{"id": str(number), "content": "x"} for number in range(201)],
        [{"id": str(number), "content": "x" * 4000} for number in range(50)],
    ],
)
def test_what_is_no_list(broken: list[dict[str, object]]) -> None:
    with pytest.raises(ValidationError):
        TASKS.validate_python(broken)
