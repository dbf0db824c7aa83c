"""The operations on one session, by its id: each looks the session up and delegates to its ``SessionHandle``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from actors.domain.base import Frozen
from actors.domain.budgets import Budget
from actors.domain.events import Event
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message
from actors.domain.policies import ConfirmationPolicy, OnBusy
from actors.domain.records import Record
from actors.domain.security import SecurityConfig
from actors.domain.session import ContextUsage, SessionConfig, SnapshotInfo, StorageType
from actors.domain.turns import AgentResult, Receipt
from actors.handle_mcp import Prompt
from actors.handle_reads import PendingInput
from actors.handle_stream import TurnStream
from actors.manager_archives import ArchiveOperations
from actors.manager_artifacts import ArtifactOperations
from actors.manager_children import ChildOperations
from actors.manager_compaction import CompactionOperations
from actors.manager_forks import ForkOperations
from actors.manager_lanes import LaneOperations
from actors.manager_mcp import McpOperations
from actors.manager_models import ModelOperations
from actors.manager_permissions import PermissionOperations
from actors.manager_removal import RemovalOperations
from actors.manager_tasks import TaskOperations
from actors.manager_titles import TitleOperations
from actors.manager_usage import UsageOperations
from actors.reading.effects import Effect
from actors.reading.tree_events import After
from actors.reading.turns import TurnInfo


class StoreHealth(Frozen):
    """How a store stands. ``error`` is one sentence when it cannot be used."""

    name: str
    kind: StorageType
    ok: bool
    error: str | None = None


class ToolExecutorInfo(Frozen):
    """What runs the tools: its workspace, and what it offers."""

    workspace: str
    tools: tuple[str, ...]


class SessionOperations(
    ArchiveOperations,
    ArtifactOperations,
    ChildOperations,
    CompactionOperations,
    ForkOperations,
    LaneOperations,
    McpOperations,
    ModelOperations,
    PermissionOperations,
    RemovalOperations,
    TaskOperations,
    TitleOperations,
    UsageOperations,
):
    """What ``SessionManager`` does with a session once it exists."""

    # --- turns -----------------------------------------------------------------------------------------------------

    async def generate(
        self,
        session_id: str,
        prompt: Prompt,
        *,
        timeout: float | None = None,
        output_type: Any = None,
        on_busy: OnBusy | str = OnBusy.enqueue,
        command_id: str | None = None,
    ) -> AgentResult:
        """See ``SessionHandle.generate``."""
        session = await self._session(session_id)
        return await session.generate(
            prompt, timeout=timeout, output_type=output_type, on_busy=on_busy, command_id=command_id
        )

    async def generate_streaming(
        self,
        session_id: str,
        prompt: Prompt,
        *,
        output_type: Any = None,
        on_busy: OnBusy | str = OnBusy.enqueue,
        command_id: str | None = None,
    ) -> TurnStream:
        """See ``SessionHandle.generate_streaming``."""
        session = await self._session(session_id)
        return await session.generate_streaming(prompt, output_type=output_type, on_busy=on_busy, command_id=command_id)

    async def send(
        self,
        session_id: str,
        prompt: Prompt,
        *,
        output_type: Any = None,
        on_busy: OnBusy | str = OnBusy.enqueue,
        command_id: str | None = None,
    ) -> Receipt:
        """See ``SessionHandle.send``."""
        session = await self._session(session_id)
        return await session.send(prompt, output_type=output_type, on_busy=on_busy, command_id=command_id)

    async def wait_turn(
        self,
        session_id: str,
        receipt: Receipt,
        *,
        timeout: float | None = None,
        until_action: bool = False,
        output_type: Any = None,
    ) -> AgentResult:
        """See ``SessionHandle.wait_turn``."""
        session = await self._session(session_id)
        return await session.wait_turn(receipt, timeout=timeout, until_action=until_action, output_type=output_type)

    async def add_message(self, session_id: str, message: Message | str, *, command_id: str | None = None) -> int:
        """See ``SessionHandle.add_message``."""
        return await (await self._session(session_id)).add_message(message, command_id=command_id)

    async def pending_inputs(self, session_id: str) -> tuple[PendingInput, ...]:
        """See ``SessionHandle.pending_inputs``."""
        return await (await self._session(session_id)).pending_inputs()

    async def withdraw_input(self, session_id: str, input_id: str) -> None:
        """See ``SessionHandle.withdraw_input``."""
        await (await self._session(session_id)).withdraw_input(input_id)

    async def events(
        self, session_id: str, *, after: After = 0, follow: bool = False, deltas: bool = True, tree: bool = False
    ) -> AsyncGenerator[Event]:
        """See ``SessionHandle.events``."""
        session = await self._session(session_id)
        async with aclosing(session.events(after=after, follow=follow, deltas=deltas, tree=tree)) as events:
            async for event in events:
                yield event

    async def records(self, session_id: str, *, after: int = 0, limit: int = 100) -> tuple[Record, ...]:
        """See ``SessionHandle.records``."""
        return await (await self._session(session_id)).records(after=after, limit=limit)

    async def effects(self, session_id: str, *, after: int = 0, limit: int = 100) -> tuple[Effect, ...]:
        """See ``SessionHandle.effects``."""
        return await (await self._session(session_id)).effects(after=after, limit=limit)

    async def turns(self, session_id: str) -> list[TurnInfo]:
        """See ``SessionHandle.turns``."""
        return await (await self._session(session_id)).turns()

    async def turn(self, session_id: str, turn_id: str) -> TurnInfo | None:
        """See ``SessionHandle.turn``."""
        return await (await self._session(session_id)).turn(turn_id)

    async def history(self, session_id: str, *, at: int | None = None) -> tuple[Message, ...]:
        """See ``SessionHandle.history``."""
        return await (await self._session(session_id)).history(at=at)

    async def context_table(self, session_id: str, *, at: int | None = None) -> Any:
        """See ``SessionHandle.context_table``."""
        return await (await self._session(session_id)).context_table(at=at)

    async def context_ref(self, session_id: str, *, at: int | None = None) -> Any:
        """See ``SessionHandle.context_ref``."""
        return await (await self._session(session_id)).context_ref(at=at)

    async def context_usage(self, session_id: str, *, at: int | None = None) -> ContextUsage:
        """See ``SessionHandle.context_usage``."""
        return await (await self._session(session_id)).context_usage(at=at)

    async def clear(self, session_id: str, *, command_id: str | None = None) -> None:
        """See ``SessionHandle.clear``."""
        await (await self._session(session_id)).clear(command_id=command_id)

    async def rewind_session(self, session_id: str, to: int, *, command_id: str | None = None) -> bool:
        """See ``SessionHandle.rewind``."""
        return await (await self._session(session_id)).rewind(to, command_id=command_id)

    async def pause_session(self, session_id: str, *, command_id: str | None = None) -> bool:
        """See ``SessionHandle.pause``."""
        return await (await self._session(session_id)).pause(command_id=command_id)

    async def resume_session(self, session_id: str, *, command_id: str | None = None) -> bool:
        """See ``SessionHandle.resume``."""
        return await (await self._session(session_id)).resume(command_id=command_id)

    async def cancel_operation(self, session_id: str, *, command_id: str | None = None) -> bool:
        """See ``SessionHandle.cancel``."""
        return await (await self._session(session_id)).cancel(command_id=command_id)

    async def snapshot(self, session_id: str) -> SnapshotInfo:
        """See ``SessionHandle.snapshot``."""
        return await (await self._session(session_id)).snapshot()

    async def hibernate_session(self, session_id: str) -> bool:
        """See ``SessionHandle.hibernate``."""
        return await (await self._session(session_id)).hibernate()

    # --- configuration ---------------------------------------------------------------------------------------------

    async def configure(
        self,
        session_id: str,
        *,
        thinking: bool | None = None,
        budget: int | Budget | None = None,
        thinking_budget: int | None = None,
        model_config: LlmConfig | str | None = None,
        name: str | None = None,
        system_prompt: str | None = None,
        security: SecurityConfig | Literal["default"] | None = None,
        command_id: str | None = None,
    ) -> None:
        """See ``SessionHandle.configure``."""
        session = await self._session(session_id)
        await session.configure(
            thinking=thinking,
            budget=budget,
            thinking_budget=thinking_budget,
            model_config=model_config,
            name=name,
            system_prompt=system_prompt,
            security=security,
            command_id=command_id,
        )

    async def set_system_prompt(self, session_id: str, text: str | None) -> None:
        """See ``SessionHandle.set_system_prompt``."""
        await (await self._session(session_id)).set_system_prompt(text)

    async def get_config(self, session_id: str) -> SessionConfig:
        """The configuration in force."""
        return await (await self._session(session_id)).config()

    async def set_confirmation_policy(self, session_id: str, policy: ConfirmationPolicy) -> ConfirmationPolicy:
        """See ``SessionHandle.set_confirmation_policy``."""
        return await (await self._session(session_id)).set_confirmation_policy(policy)

    async def get_confirmation_policy(self, session_id: str) -> ConfirmationPolicy:
        """See ``SessionHandle.confirmation_policy``."""
        return await (await self._session(session_id)).confirmation_policy()
