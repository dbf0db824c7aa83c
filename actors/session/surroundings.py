"""What the core needs to know of the world around a session; given to it, never looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from actors.domain.calls import HostRef
from actors.domain.llm import LlmConfig
from actors.domain.permissions import PermissionPolicy
from actors.domain.security import SecurityConfig
from actors.domain.workspaces import Site
from actors.session.ports import ToolSpec
from actors.session.state import State


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the core needs to know of the world around a session.

    Attributes:
        tools: The tools there are now.
        default_model: For sessions that name no model.
        model_host: The host of the session's model; None while unknown.
        model_error: Why there is no host: error code and sentence.
        global_policy: Denials of the runtime that no session can lift.
        security: What sessions withhold that do not say so themselves.
        secret: The store's, under which digests are kept of what is withheld; empty: none are.
        workspace: Directory of sessions that name none.
        shared_workspaces: Every node sees the same files.
        site: Where the session's tool calls run; None while unknown.
        taken: Names for children that turned out to be in use.
    """

    tools: Mapping[str, ToolSpec] = field(default_factory=dict[str, ToolSpec])
    default_model: LlmConfig | None = None
    model_host: HostRef | None = None
    model_error: tuple[str, str] | None = None
    global_policy: PermissionPolicy | None = None
    security: SecurityConfig | None = None
    secret: str = field(default="", repr=False)
    workspace: str = ""
    shared_workspaces: bool = False
    site: Site | None = None
    taken: frozenset[str] = frozenset()


def model_of(state: State, around: Surroundings) -> LlmConfig | None:
    """The model in force."""
    return state.config.model or around.default_model
