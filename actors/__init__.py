"""Greenroom: an actor-model runtime service for sessions of LLM agents on Ray.

Importing this package loads neither Ray nor an HTTP client: names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors import errors
    from actors.domain.budgets import Budget
    from actors.domain.children import ChildResult, ChildSpec
    from actors.domain.events import Event
    from actors.domain.external_tasks import ExternalTask, ExternalTaskResult
    from actors.domain.inspection import Finding, Inspection, SecurityProvider
    from actors.domain.lanes import LaneHandlerConfig, SessionQueueConfig, TaskHandlerMode
    from actors.domain.llm import LlmConfig
    from actors.domain.mcp import McpServerConfig, McpStatus
    from actors.domain.mcp_library import McpInput
    from actors.domain.messages import ContentBlock, Message, TokenUsage
    from actors.domain.permissions import PermissionDecision, PermissionMode, PermissionPolicy, PermissionRule
    from actors.domain.policies import ConfirmationPolicy, SessionLane, TimeoutAction
    from actors.domain.security import SecurityConfig
    from actors.domain.session import ContextUsage, SessionConfig, SessionState
    from actors.domain.tasks import Task
    from actors.domain.tools import ToolDefinition
    from actors.domain.turns import AgentResult, Receipt
    from actors.handle import SessionHandle
    from actors.manager import SessionManager
    from actors.settings import Settings
    from actors.sync import SyncSessionManager
    from actors.tools.function import tool

_HOMES = {
    "AgentResult": "actors.domain.turns",
    "Budget": "actors.domain.budgets",
    "ChildResult": "actors.domain.children",
    "ChildSpec": "actors.domain.children",
    "ConfirmationPolicy": "actors.domain.policies",
    "ContentBlock": "actors.domain.messages",
    "ContextUsage": "actors.domain.session",
    "Event": "actors.domain.events",
    "ExternalTask": "actors.domain.external_tasks",
    "ExternalTaskResult": "actors.domain.external_tasks",
    "Finding": "actors.domain.inspection",
    "Inspection": "actors.domain.inspection",
    "LaneHandlerConfig": "actors.domain.lanes",
    "LlmConfig": "actors.domain.llm",
    "McpInput": "actors.domain.mcp_library",
    "McpServerConfig": "actors.domain.mcp",
    "McpStatus": "actors.domain.mcp",
    "Message": "actors.domain.messages",
    "PermissionDecision": "actors.domain.permissions",
    "PermissionMode": "actors.domain.permissions",
    "PermissionPolicy": "actors.domain.permissions",
    "PermissionRule": "actors.domain.permissions",
    "Receipt": "actors.domain.turns",
    "SessionConfig": "actors.domain.session",
    "SessionHandle": "actors.handle",
    "SessionLane": "actors.domain.policies",
    "SessionManager": "actors.manager",
    "SecurityConfig": "actors.domain.security",
    "SecurityProvider": "actors.domain.inspection",
    "SessionQueueConfig": "actors.domain.lanes",
    "SessionState": "actors.domain.session",
    "Settings": "actors.settings",
    "SyncSessionManager": "actors.sync",
    "Task": "actors.domain.tasks",
    "TaskHandlerMode": "actors.domain.lanes",
    "TimeoutAction": "actors.domain.policies",
    "TokenUsage": "actors.domain.messages",
    "ToolDefinition": "actors.domain.tools",
    "errors": "actors.errors",
    "tool": "actors.tools.function",
}

__all__ = [
    "AgentResult",
    "Budget",
    "ChildResult",
    "ChildSpec",
    "ConfirmationPolicy",
    "ContentBlock",
    "ContextUsage",
    "Event",
    "ExternalTask",
    "ExternalTaskResult",
    "Finding",
    "Inspection",
    "LaneHandlerConfig",
    "LlmConfig",
    "McpInput",
    "McpServerConfig",
    "McpStatus",
    "Message",
    "PermissionDecision",
    "PermissionMode",
    "PermissionPolicy",
    "PermissionRule",
    "Receipt",
    "SecurityConfig",
    "SecurityProvider",
    "SessionConfig",
    "SessionHandle",
    "SessionLane",
    "SessionManager",
    "SessionQueueConfig",
    "SessionState",
    "Settings",
    "SyncSessionManager",
    "Task",
    "TaskHandlerMode",
    "TimeoutAction",
    "TokenUsage",
    "ToolDefinition",
    "errors",
    "tool",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'actors' has no attribute {name!r}")
    module = importlib.import_module(home)
    return module if name == "errors" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
