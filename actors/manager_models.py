"""Models of sessions that name none, and of any session."""

from __future__ import annotations

from contextlib import suppress

from actors.checks import MAX_PAGE
from actors.domain.actions import ActionKind, Resolution
from actors.domain.llm import LlmConfig
from actors.errors import ActionNotFound, ActionSettled, SessionNotFound
from actors.manager_actions import ActionOperations
from actors.model_choice import as_model, known_model


class ModelOperations(ActionOperations):
    """What ``SessionManager`` does about models."""

    async def set_default_llm(self, llm: LlmConfig | str | None) -> None:
        """Change the model of sessions that name none; later model calls use it.

        Turns of such sessions, of all tenants, that wait for the key of the model before go on with this one.
        """
        model = as_model(llm)
        await self._runtime.set_default_model(await known_model(self._runtime, model) if model else None)
        if model is not None:
            await self._go_on_everywhere()

    async def get_llm_for_session(self, session_id: str) -> LlmConfig | None:
        """The session's model, else the default one, else None."""
        return await self._own_model(session_id) or await self._runtime.default_model()

    async def _own_model(self, session_id: str) -> LlmConfig | None:
        return (await (await self._session(session_id)).config()).model

    async def _go_on_everywhere(self) -> None:
        """Sessions that are resident see the new model by themselves; those that hibernate are told."""
        after = ""
        while tenants := await self._runtime.store.waiting_tenants(ActionKind.credential, after=after):
            for tenant in tenants:
                await ModelOperations(self._runtime, tenant)._go_on()
            after = tenants[-1]

    async def _go_on(self) -> None:
        after: str | None = None
        while True:
            page = await self.actions(kind=ActionKind.credential, limit=MAX_PAGE, after=after)
            for action in page.items:
                with suppress(SessionNotFound, ActionNotFound, ActionSettled):
                    if await self._own_model(action.session_id) is None:
                        await self.resolve_action(action.session_id, action.action_id, Resolution.retry)
            after = page.next
            if after is None:
                return
