"""What one resident session knows of the world around it, and how it finds out: over whatever is being restarted.

Beside the driver (``actors.session.runner``), whose task goes on as soon as something is found.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from actors.domain.calls import HostRef, ModelCall, ToolCall
from actors.errors import GreenroomError, InternalError, ModelUnavailable, NoModel, UnknownProvider
from actors.session.own_tools import with_own
from actors.session.ports import Hosts
from actors.session.state import State
from actors.session.surroundings import Surroundings, model_of
from actors.session.workspace import whereabouts

log = logging.getLogger(__name__)

FIND_FIRST_S, FIND_MAX_S = 0.05, 2.0
"""Bounds of the back-off while nobody can say where a host is."""

T = TypeVar("T")


class Outlook:
    """Looks for the host of the session's model, and for the site of its tool calls; one look at a time for each.

    Args:
        state: Tells the session's state as of now.
        found: Called when something is known that was not before.

    Attributes:
        around: What is known.
    """

    def __init__(
        self,
        hosts: Hosts,
        around: Surroundings,
        *,
        state: Callable[[], State],
        found: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        self.around = around
        self._hosts = hosts
        self._state = state
        self._found = found
        self._spawn = spawn
        self._looking: set[str] = set()

    def surround(self, around: Surroundings) -> None:
        """The world has changed; whatever was found in the old one is looked for again."""
        self.around = replace(around, model_host=None, model_error=None, site=None)

    async def renew(self, call: ModelCall | ToolCall) -> HostRef | None:
        """A call's host is gone: ask for the tools, and look for hosts again.

        Returns:
            Who would run the call now; None when nobody would, or it is a model call.
        """
        state = self._state()
        tools = with_own(await self._hosts.tools(), state.tenant, state.journal_id)
        self.around = replace(self.around, tools=tools, model_host=None, model_error=None, site=None)
        spec = tools.get(call.name) if isinstance(call, ToolCall) else None
        if spec is None or spec.host is not None:
            return spec.host if spec is not None else None
        site = await self._hosts.site(whereabouts(self._state(), self.around))
        self.around = replace(self.around, site=site)
        return site.host

    def forget_model(self) -> None:
        """The session has another model."""
        self.around = replace(self.around, model_host=None, model_error=None)

    def forgive_model(self) -> None:
        """What stood in the way of one turn need not stand in the way of the next."""
        self.around = replace(self.around, model_error=None)

    def take(self, names: frozenset[str]) -> None:
        """Names for children turned out to be in use."""
        self.around = replace(self.around, taken=self.around.taken | names)

    # --- looking ---------------------------------------------------------------------------------------------------

    def look_for_model_host(self) -> None:
        """Find the host of the session's model."""
        self._look("model host", self._find_model_host)

    def look_for_site(self) -> None:
        """Find where the session's tool calls run."""
        self._look("site", self._find_site)

    def _look(self, what: str, find: Callable[[], Awaitable[None]]) -> None:
        if what not in self._looking:
            self._looking.add(what)
            self._spawn(self._see(what, find))

    async def _see(self, what: str, find: Callable[[], Awaitable[None]]) -> None:
        try:
            await find()
        finally:
            self._looking.discard(what)
        self._found()

    async def _find_model_host(self) -> None:
        wanted = model_of(self._state(), self.around)

        async def ask() -> HostRef | tuple[str, str]:
            try:
                if wanted is None:
                    raise NoModel(self._state().session_id)
                return await self._hosts.model_host(wanted.provider)
            except (NoModel, UnknownProvider, ModelUnavailable) as exc:
                return exc.code, exc.message

        try:
            answer = await self._insist(ask)
        except InternalError as defect:
            answer = defect.code, defect.message
        if model_of(self._state(), self.around) == wanted:
            # Otherwise the model is another one meanwhile, and its host is looked for anew.
            host, error = (answer, None) if isinstance(answer, HostRef) else (None, answer)
            self.around = replace(self.around, model_host=host, model_error=error)

    async def _find_site(self) -> None:
        wanted = whereabouts(self._state(), self.around)
        self.around = replace(self.around, site=await self._insist(lambda: self._hosts.site(wanted)))

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer.

        Raises:
            InternalError: the question itself fails.
        """
        delay = FIND_FIRST_S
        while True:
            try:
                return await ask()
            except GreenroomError as exc:
                log.info("session %s asks again: %s", self._state().session_id, exc)
            except Exception as exc:
                log.exception("session %s cannot ask", self._state().session_id)
                raise InternalError(type(exc).__name__) from exc
            await asyncio.sleep(delay)
            delay = min(delay * 2, FIND_MAX_S)
