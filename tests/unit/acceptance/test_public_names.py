"""What a user of the package can import and call, and that nothing is offered that is not there."""

from __future__ import annotations

import inspect

import pytest

import actors
from actors import SessionHandle, SessionManager, errors

_NAMES = """
SessionManager SyncSessionManager SessionHandle Settings SessionConfig SessionState LlmConfig Message ContentBlock
TokenUsage ContextUsage AgentResult Event Receipt ToolDefinition tool ConfirmationPolicy TimeoutAction SessionLane
Budget PermissionPolicy PermissionRule PermissionDecision PermissionMode ChildSpec ChildResult Task errors
LaneHandlerConfig TaskHandlerMode ExternalTask ExternalTaskResult SessionQueueConfig McpServerConfig McpStatus
McpInput SecurityConfig SecurityProvider Inspection Finding
""".split()

_LATER = """
Skill SkillRegistry MemoryItem
""".split()

_OPERATIONS = """
create_session create_sessions destroy_session get_session restore_session_by_id load_all_sessions
create_child_session get_child_sessions is_child_session generate generate_streaming send wait_turn add_message events
history context_usage clear compact maybe_auto_compact configure set_system_prompt set_default_llm get_llm_for_session
session_count get_all_sessions list_tools tool_executor store_health pause_session resume_session cancel_operation
confirm_tool actions resolve_action set_confirmation_policy get_confirmation_policy set_permission_policy
get_permission_policy check_permission add_permission_rule dry_run_policy hibernate_session pending_inputs
withdraw_input effects spawn_many wait_children child_results fork_session fork_many rewind_session snapshot
purge_session context_table context_ref get_tasks set_tasks export_session import_session tree set_lane_handler
get_lane_handler add_mcp_server remove_mcp_server mcp_status pending_external_tasks external_tasks lease_external_task
complete_external_task set_queue_config generate_title tool_metrics queue_stats queue_metrics dead_letters new
with_persistence with_store connect close usage security_report list_artifacts read_artifact
mcp_resources read_mcp_resource mcp_prompts get_mcp_prompt
""".split()

_LATER_OPERATIONS = """
set_skill_registry skill_registry set_memory_store memory_store
set_mcp_manager add_context_provider
remove_context_provider context_provider_names
generate_many drain
""".split()

_CAUGHT = """
SessionNotFound SessionExists SessionPaused InvalidSessionId NoModel UnknownProvider ModelAuthFailed ModelUnavailable
TurnPending TurnFailed CommandConflict Overloaded StoreUnavailable StoreInUse RuntimeExists StoreLost StoreCorrupt
ActionSettled
""".split()


def test_the_package_offers_the_names_that_are_built_and_no_other() -> None:
    assert sorted(_NAMES) == sorted(actors.__all__) == dir(actors)
    assert all(getattr(actors, name) is not None for name in _NAMES)
    assert not [name for name in _LATER if hasattr(actors, name)]


def test_the_manager_has_every_operation_that_is_built_and_no_stub_of_another() -> None:
    assert not [name for name in _OPERATIONS if not inspect.isroutine(getattr(SessionManager, name, None))]
    assert not [name for name in _LATER_OPERATIONS if hasattr(SessionManager, name) or hasattr(SessionHandle, name)]


@pytest.mark.parametrize("name", _CAUGHT)
def test_an_error_that_others_catch_is_in_the_tree(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.GreenroomError)
