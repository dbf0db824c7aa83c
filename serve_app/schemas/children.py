"""Starting children."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from actors.domain.children import MAX_CHILDREN
from actors.domain.session import SessionConfig
from serve_app.schemas.base import Body, GivenConfig, PromptText, SessionIdText


class CreateChild(Body):
    """A new child of the session in the path."""

    session_id: SessionIdText
    config: GivenConfig = SessionConfig()


class ChildTask(Body):
    """A child to be started with a task. Without ``session_id`` the service makes one up."""

    prompt: PromptText
    session_id: SessionIdText | None = None
    config: GivenConfig = SessionConfig()


class SpawnChildren(Body):
    """Many new children of the session in the path, each with a task: all of them or none."""

    children: tuple[ChildTask, ...] = Field(min_length=1, max_length=MAX_CHILDREN)


def _one_or_many(value: Any) -> str:
    has_many = "children" in value if isinstance(value, dict) else isinstance(value, SpawnChildren)
    return "many" if has_many else "one"


AnyChildren = Annotated[
    Annotated[CreateChild, Tag("one")] | Annotated[SpawnChildren, Tag("many")], Discriminator(_one_or_many)
]
"""Either form; which one was meant is told by its members."""
