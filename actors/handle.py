"""``SessionHandle``: a reference to one session that works wherever the session is, and while it is nowhere.

A handle remembers the session's journal, so one to a session that was destroyed stays useless even when the id is used
again. Reads and waits go to the store and to effect hosts; only commands reach, or activate, the session itself.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from actors.checks import checked_choice, checked_command, checked_message, checked_prompt, checked_timeout
from actors.domain import commands as c
from actors.domain.budgets import Budget
from actors.domain.llm import LlmConfig
from actors.domain.mcp_library import McpInput
from actors.domain.messages import Message
from actors.domain.policies import ConfirmationPolicy, OnBusy
from actors.domain.security import SecurityConfig
from actors.domain.session import SessionInfo
from actors.domain.turns import AgentResult, Receipt
from actors.handle_actions import SessionActions
from actors.handle_artifacts import SessionArtifacts
from actors.handle_children import SessionChildren
from actors.handle_compaction import SessionCompaction
from actors.handle_lanes import SessionLanes
from actors.handle_mcp import Prompt, SessionMcp
from actors.handle_permissions import SessionPermissions
from actors.handle_stream import TurnStream
from actors.handle_tasks import SessionTasks
from actors.handle_titles import SessionTitles
from actors.handle_usage import SessionUsage
from actors.model_choice import known_model
from actors.output_types import OutputType, checked_output
from actors.reading.turns import result_of
from actors.session.runtime import Runtime

WAIT_SLICE_S = 30.0
"""Longest wait of one call for a turn's end; after that the wait goes on at the store."""


class SessionHandle(
    SessionActions,
    SessionArtifacts,
    SessionChildren,
    SessionCompaction,
    SessionLanes,
    SessionMcp,
    SessionPermissions,
    SessionTasks,
    SessionTitles,
    SessionUsage,
):
    """One session. Made by a ``SessionManager``; every method raises SessionNotFound when the session is gone."""

    def __init__(self, runtime: Runtime, info: SessionInfo) -> None:
        super().__init__(runtime, info)
        self._actor: Any = None
        self._residency: tuple[str, int] | None = None

    def __repr__(self) -> str:
        return f"SessionHandle({self.session_id!r})"

    # --- turns -----------------------------------------------------------------------------------------------------

    async def generate(
        self,
        prompt: Prompt,
        *,
        timeout: float | None = None,
        output_type: Any = None,
        on_busy: OnBusy | str = OnBusy.enqueue,
        command_id: str | None = None,
    ) -> AgentResult:
        """Send an input and wait for the answer of its turn.

        Args:
            timeout: Seconds to wait; None waits for as long as it takes.
            output_type: What the answer has to be, for a program: a pydantic model, any other type that pydantic knows,
                or a JSON Schema as a dict. The result's ``output`` is the value then.
            command_id: Idempotency key: the same key and prompt never start a second turn.

        Raises:
            TurnPending: not over in time; wait on with ``wait_turn``.
            TurnFailed, ModelAuthFailed, ModelUnavailable: the turn has no answer.
            OutputInvalid: it has one that does not fit ``output_type``.
            SessionPaused, SessionEnded, SessionBusy, NoModel, CommandConflict: the input was refused.
        """
        timeout = checked_timeout(timeout)
        loop = asyncio.get_running_loop()
        began = loop.time()
        wanted = checked_output(output_type)
        command = await self._send_command(prompt, on_busy, command_id, wanted)
        first = WAIT_SLICE_S if timeout is None else min(timeout, WAIT_SLICE_S)
        submitted = await self._runtime.submit(self._tenant, self.journal_id, command, wait_s=first)
        if submitted.end is not None:
            store = self._runtime.store
            result = await result_of(store, self._tenant, self.session_id, submitted.end, submitted.context)
            return wanted.read(self.session_id, result) if wanted is not None else result
        # A session that hibernates, or waits for a person, sends its callers on before their time is over.
        left = None if timeout is None else max(timeout - (loop.time() - began), 0.0)
        receipt = self._receipt(command, submitted.reply)
        return await self.wait_turn(receipt, timeout=left, output_type=wanted)

    async def send(
        self,
        prompt: Prompt,
        *,
        output_type: Any = None,
        on_busy: OnBusy | str = OnBusy.enqueue,
        command_id: str | None = None,
    ) -> Receipt:
        """Send an input; returns as soon as it is durable. ``output_type`` as for ``generate``."""
        command = await self._send_command(prompt, on_busy, command_id, checked_output(output_type))
        submitted = await self._runtime.submit(self._tenant, self.journal_id, command)
        return self._receipt(command, submitted.reply)

    async def generate_streaming(
        self,
        prompt: Prompt,
        *,
        output_type: Any = None,
        on_busy: OnBusy | str = OnBusy.enqueue,
        command_id: str | None = None,
    ) -> TurnStream:
        """Send an input and read its turn as it happens. ``output_type`` as for ``generate``: for ``result()``."""
        wanted = checked_output(output_type)
        receipt = await self.send(prompt, output_type=wanted, on_busy=on_busy, command_id=command_id)
        return TurnStream(self, receipt, self.cancel, wanted)

    async def _send_command(
        self, prompt: Prompt, on_busy: OnBusy | str, command_id: str | None, wanted: OutputType | None
    ) -> c.Send:
        return c.Send(
            **self._identity(command_id),
            on_busy=checked_choice("on_busy", OnBusy, on_busy),
            message=checked_prompt(await self._made(prompt, command_id)),
            output=wanted.format if wanted is not None else None,
            made_from=prompt if isinstance(prompt, McpInput) else None,
        )

    def _receipt(self, command: c.Command, reply: c.Reply) -> Receipt:
        return Receipt(
            session_id=self.session_id,
            journal_id=self.journal_id,
            input_id=command.command_id,
            seq=reply.seq or 0,
        )

    async def add_message(self, message: Message | str, *, command_id: str | None = None) -> int:
        """Put a message into the conversation without starting a turn; returns its place in the journal."""
        added = checked_message(Message.user(message) if isinstance(message, str) else message)
        return (await self._do(c.AddMessage(**self._identity(command_id), message=added))).seq or 0

    async def withdraw_input(self, input_id: str) -> None:
        """Take back an input.

        Raises:
            InputNotFound: a turn has taken it, or there was none.
        """
        await self._do(c.WithdrawInput(**self._identity(None), input_id=input_id))

    # --- control ---------------------------------------------------------------------------------------------------

    async def pause(self, *, command_id: str | None = None) -> bool:
        """Take no new step until resumed; False when it was not active."""
        return (await self._do(c.Pause(**self._identity(command_id)))).changed

    async def resume(self, *, command_id: str | None = None) -> bool:
        """Go on; False when there was nothing to resume."""
        return (await self._do(c.Resume(**self._identity(command_id)))).changed

    async def cancel(self, reason: str = "cancelled by request", *, command_id: str | None = None) -> bool:
        """End the running turn: its model call, tools and approvals; False when no turn runs."""
        identity = self._identity(command_id)
        return (await self._do(checked_command(lambda: c.Cancel(**identity, reason=reason)))).changed

    async def clear(self, *, command_id: str | None = None) -> None:
        """Empty the conversation. The transcript stays in the journal.

        Raises:
            SessionBusy: a turn is running, or a compaction.
        """
        await self._do(c.Clear(**self._identity(command_id)))

    async def rewind(self, to: int, *, command_id: str | None = None) -> bool:
        """Let the model see what it saw after the record with seq ``to``; False when it sees just that.

        Only the conversation goes back. Configuration, usage, files, and what tools did stay as they are, and the
        journal goes on. An answer whose tool calls had no results by then is left out.

        Raises:
            SessionBusy: a turn is running. SessionEnded.
            InvalidRequest: no such record, or the context was cleared, rewound or compacted since: fork the session
                there.
        """
        state = await self._state(to)
        there: dict[str, Any] = {"to": to, "keep": state.whole_messages, "used": state.context_used}
        return (await self._do(c.Rewind(**self._identity(command_id), **there))).changed

    async def complete(self) -> None:
        """End the session's life: it takes no more input."""
        await self._do(c.Complete(**self._identity(None)))

    async def fail(self, message: str) -> None:
        """Put the session into state error."""
        identity = self._identity(None)
        await self._do(checked_command(lambda: c.Complete(**identity, error=message)))

    async def hibernate(self) -> bool:
        """Give up the session's actor; False when it has work to do."""
        await self.info()  # A session that is gone has no actor, and is an error all the same.
        return await self._runtime.hibernate(self._tenant, self.journal_id)

    async def configure(
        self,
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
        """Change what is given: all of it, or nothing.

        Args:
            thinking: Whether the model thinks first.
            budget: A number: the tokens that it may think. A ``Budget``: what the session may take in its life, in
                place of the one before and all that was granted on top; ``Budget()`` bounds nothing.
            thinking_budget: The tokens that it may think, where ``budget`` says what the session may take.
            model_config: The model.
            name: The title.
            system_prompt: The text that is added to the standard instructions; an empty one removes it.
            security: What is withheld of what is written and shown from here on; ``default`` is what the runtime's
                settings say. What was written before stays, and what runs already ends as it began.
            command_id: Makes the command repeatable.
        """
        changes: dict[str, Any] = {}
        if thinking is not None:
            changes["thinking_enabled"] = thinking
        if budget is not None:
            changes["budget" if isinstance(budget, Budget) else "thinking_budget"] = budget
        if thinking_budget is not None:
            changes["thinking_budget"] = thinking_budget
        if system_prompt is not None:
            changes["system_prompt"] = system_prompt or None
        if name is not None:
            changes["name"] = name
        if security is not None:
            changes["security"] = None if security == "default" else security
        if model_config is not None:
            changes["model"] = await known_model(self._runtime, model_config)
        if changes:
            await self._configure(changes, command_id)

    async def set_system_prompt(self, text: str | None) -> None:
        """Replace the text that is added to the standard instructions; None removes it."""
        await self._configure({"system_prompt": text})

    async def set_confirmation_policy(self, policy: ConfirmationPolicy) -> ConfirmationPolicy:
        """Replace the confirmation policy; pending approvals keep their time."""
        await self._configure({"confirmation_policy": policy})
        return policy

    # --- actions ---------------------------------------------------------------------------------------------------

    # --- place ---------------------------------------------------------------------------------------------------

    async def resolve(self) -> SessionHandle:
        """Look up where the session is resident now; ``actor`` and ``residency`` say it afterwards."""
        found = await self._runtime.resolve(self._tenant, self.journal_id)
        self._actor, self._residency = found or (None, None)
        return self

    @property
    def actor(self) -> Any:
        """The Ray handle of the session's actor as last resolved; None when it was dormant."""
        return self._actor

    @property
    def residency(self) -> tuple[str, int] | None:
        """(journal_id, assignment_no), the first arguments of the actor's methods; None when it was dormant."""
        return self._residency
