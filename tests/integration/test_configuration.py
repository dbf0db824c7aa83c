"""What can be set while a session lives: model, instructions, thinking, policies."""

from __future__ import annotations

import pytest

from actors import (
    ConfirmationPolicy,
    LlmConfig,
    PermissionDecision,
    PermissionPolicy,
    SessionConfig,
    SessionLane,
    SessionManager,
    TimeoutAction,
    errors,
)
from actors.domain.records import ModelCallStarted, SessionConfigured
from tests.integration.runtimes import MODEL, NewId
from tests.integration.waiting import LONG_S, event_of


async def test_configure_changes_only_what_is_given(manager: SessionManager, new_id: NewId) -> None:
    session_id = (await manager.create_session(new_id(), SessionConfig(name="before"))).session_id
    await manager.configure(session_id, thinking=True, budget=2048)
    config = await manager.get_config(session_id)
    assert (config.thinking_enabled, config.thinking_budget, config.name, config.model) == (True, 2048, "before", None)
    await manager.configure(session_id, name="after")
    config = await manager.get_config(session_id)
    assert (config.thinking_enabled, config.thinking_budget, config.name) == (True, 2048, "after")
    assert (await manager.get_info(session_id)).name == "after"


async def test_a_configuration_that_is_not_valid_is_refused_and_the_old_one_stays(
    manager: SessionManager, new_id: NewId
) -> None:
    session = await manager.create_session(new_id())
    with pytest.raises(errors.InvalidRequest):
        await session.configure(budget=3)
    with pytest.raises(errors.UnknownProvider):
        await session.configure(model_config="nosuch/model")
    with pytest.raises(errors.InvalidConfig, match="provider/model"):
        await session.configure(model_config="no-slash")
    assert await session.config() == SessionConfig()


async def test_a_sessions_own_model_answers_from_the_next_call_on(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    assert (await session.generate("/say hello")).text == "hello"
    await session.configure(model_config="scripted/echo")
    assert (await session.generate("/say hello")).text == "/say hello"
    assert (await session.info()).model == "scripted/echo"
    assert (await event_of(session, ModelCallStarted, nth=2)).data.model == "scripted/echo"


async def test_the_model_of_a_session_is_its_own_or_else_the_default(manager: SessionManager, new_id: NewId) -> None:
    plain = await manager.create_session(new_id())
    own = await manager.create_session(new_id(), SessionConfig(model=LlmConfig.of("scripted/echo")))
    assert await manager.get_llm_for_session(plain.session_id) == LlmConfig.of(MODEL)
    assert await manager.get_llm_for_session(own.session_id) == LlmConfig.of("scripted/echo")


async def test_a_new_default_model_is_used_by_sessions_that_name_none(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id())
    assert (await session.generate("/say hello")).text == "hello"
    await manager.set_default_llm("scripted/echo")
    try:
        assert (await session.generate("/say hello")).text == "/say hello"
        assert [model.name for model in await manager.models() if model.default] == ["scripted/echo"]
        with pytest.raises(errors.UnknownProvider):
            await manager.set_default_llm("nosuch/model")
        await manager.set_default_llm(None)
        assert await manager.get_llm_for_session(session.session_id) is None
        with pytest.raises(errors.NoModel, match="set_default_llm"):
            await session.generate("hello", timeout=LONG_S)
    finally:
        await manager.set_default_llm(MODEL)
    assert (await session.generate("/say hello", timeout=LONG_S)).text == "hello"


async def test_a_system_prompt_can_be_set_and_removed(manager: SessionManager, new_id: NewId) -> None:
    session = await manager.create_session(new_id(), SessionConfig(system_prompt="Speak Latin."))
    before = (await session.generate("salve")).usage.prompt_tokens
    await manager.set_system_prompt(session.session_id, "Speak Greek. " * 100)
    assert (await session.config()).system_prompt == "Speak Greek. " * 100
    await session.clear()
    longer = (await session.generate("salve")).usage.prompt_tokens
    assert longer > before + 200, "the model did not get the prompt"
    await session.set_system_prompt(None)
    assert (await session.config()).system_prompt is None
    changes = [one async for one in session.events() if isinstance(one, SessionConfigured)]
    assert [change.data.change.set_fields for change in changes] == [("system_prompt",), ("system_prompt",)]


async def test_confirmation_policies_are_read_back_and_belong_to_one_session(
    manager: SessionManager, new_id: NewId
) -> None:
    one, other = await manager.create_sessions([new_id(), new_id()])
    assert (await manager.get_confirmation_policy(one.session_id)).enabled
    policy = ConfirmationPolicy(
        default_timeout_ms=5000,
        timeout_action=TimeoutAction.auto_approve,
        yolo_lanes=frozenset({SessionLane.query, SessionLane.execute}),
    )
    assert await manager.set_confirmation_policy(one.session_id, policy) == policy
    assert await manager.get_confirmation_policy(one.session_id) == policy
    assert await manager.get_confirmation_policy(other.session_id) == ConfirmationPolicy()


async def test_permission_policies_are_read_back_and_decide(manager: SessionManager, new_id: NewId) -> None:
    session_id = (await manager.create_session(new_id())).session_id
    assert (await manager.get_permission_policy(session_id)).default_decision is PermissionDecision.ask
    assert await manager.check_permission(session_id, "bash", {"command": "ls"}) is PermissionDecision.ask
    policy = PermissionPolicy(allow=["bash(cargo:*)", "grep"], deny=["bash(rm:*)"])
    assert await manager.set_permission_policy(session_id, policy) == policy
    assert await manager.get_permission_policy(session_id) == policy
    for tool, args, decision in (
        ("bash", {"command": "cargo build"}, PermissionDecision.allow),
        ("Grep", {"pattern": "x"}, PermissionDecision.allow),
        ("bash", {"command": "rm -rf /"}, PermissionDecision.deny),
        ("write", {"file_path": "x"}, PermissionDecision.ask),
    ):
        assert await manager.check_permission(session_id, tool, args) is decision


async def test_tools_store_and_models_are_told(manager: SessionManager) -> None:
    names = [tool.name for tool in await manager.list_tools()]
    assert names == sorted(names)
    assert {"bash", "edit", "glob", "grep", "ls", "read", "write"} <= set(names)
    executor = await manager.tool_executor()
    assert executor.workspace == manager.settings.workspace
    assert list(executor.tools) == names
    (health,) = await manager.store_health()
    assert (health.ok, health.error) == (True, None)
    assert next(iter(await manager.models())).default
    assert (await manager.runtime_status())["workspace"] == manager.settings.workspace


async def test_a_runtime_without_a_model_says_so_and_what_to_do(new_id: NewId) -> None:
    async with await SessionManager.local() as manager:
        session = await manager.create_session(new_id())
        with pytest.raises(errors.NoModel, match="GREENROOM_MODEL"):
            await session.generate("hello", timeout=LONG_S)
        assert await manager.get_llm_for_session(session.session_id) is None
        await session.configure(model_config=MODEL)
        assert (await session.generate("hello", timeout=LONG_S)).text == "hello"


async def test_what_the_runtime_denies_no_session_is_allowed(
    manager: SessionManager, new_id: NewId, permissive: SessionConfig
) -> None:
    session = await manager.create_session(new_id(), permissive)
    result = await session.generate('/tool bash {"command": "curl example.invalid"}\nwell', timeout=LONG_S)
    assert "denied" in str(result.messages[2].content).lower()
