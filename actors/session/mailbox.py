"""Commands on their way into a session: each is carried out once, and whoever gave it gets the first outcome.

Between callers, who may give a command again after a lost answer, and the driver, which sees each command once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from actors.domain import commands as c
from actors.errors import CommandConflict, GreenroomError, InternalError, StoreUnavailable
from actors.session.ports import Store
from actors.session.withholding import Inspected

log = logging.getLogger(__name__)

REMEMBERED_COMMANDS = 1024
"""Commands whose outcome a resident session knows by heart; older ones are looked up in the store."""


class Mailbox:
    """The commands of one resident session.

    Args:
        down: Whether the store does not take writes now, so that only what is known already can be answered.
        post: Hands a command to the driver.
        spawn: Starts a task that no caller's cancellation reaches.
    """

    def __init__(
        self,
        store: Store,
        tenant: str,
        journal_id: str,
        *,
        down: Callable[[], bool],
        post: Callable[[c.Command, Inspected], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:
        self._store = store
        self._tenant = tenant
        self._journal_id = journal_id
        self._down = down
        self._post = post
        self._spawn = spawn
        self._replies: dict[str, tuple[str, asyncio.Future[c.Reply]]] = {}
        self._closed: GreenroomError | None = None

    @property
    def open(self) -> bool:
        """Whether somebody waits for an outcome."""
        return any(not future.done() for _, future in self._replies.values())

    async def give(self, command: c.Command, inspected: Inspected = None) -> c.Reply:
        """The outcome of a command, which is carried out unless it was before.

        Raises:
            CommandConflict: its id was used with other arguments.
            GreenroomError: it was refused, or the session is not here any more.
        """
        known = self._replies.get(command.command_id)
        if known is not None:
            digest, future = known
            if digest != command.digest():
                raise CommandConflict(command.command_id)
            return await asyncio.shield(future)
        if self._closed is not None:
            raise self._closed
        if self._down():
            raise _not_now()
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        self._remember(command, future)
        if command.fresh:
            self._post(command, inspected)
        else:
            self._spawn(self._post_unless_old(command, inspected))
        return await asyncio.shield(future)

    def _remember(self, command: c.Command, future: asyncio.Future[c.Reply]) -> None:
        self._replies[command.command_id] = (command.digest(), future)
        while len(self._replies) > REMEMBERED_COMMANDS:
            oldest = next(iter(self._replies))
            if not self._replies[oldest][1].done():
                break
            del self._replies[oldest]

    async def _post_unless_old(self, command: c.Command, inspected: Inspected) -> None:
        if await self.answer_old(command):
            return
        if self._down():
            self.reply(command, _not_now())
        else:
            self._post(command, inspected)

    async def answer_old(self, command: c.Command) -> bool:
        """Answer a command that the journal knows; False when it does not."""
        try:
            reply = await self._first_outcome(command)
        except GreenroomError as exc:
            self.reply(command, exc)
            return True
        except Exception as exc:
            log.exception("whether command %s was given before cannot be said", command.command_id)
            self.reply(command, InternalError(type(exc).__name__))
            return True
        if reply is None:
            return False
        self.reply(command, reply)
        return True

    async def _first_outcome(self, command: c.Command) -> c.Reply | None:
        found = await self._store.first_outcome(self._tenant, self._journal_id, command.command_id)
        if found is None:
            return None
        if found.digest != command.digest():
            raise CommandConflict(command.command_id)
        input_id = command.command_id if isinstance(command, c.Send) else None
        return c.Reply(seq=found.seq, record=found.type, input_id=input_id)

    def reply(self, command: c.Command, reply: c.Reply | GreenroomError) -> None:
        """Tell whoever waits for a command what came of it."""
        _, future = self._replies.get(command.command_id, ("", None))
        if future is None or future.done():
            return
        if isinstance(reply, GreenroomError):
            # A refusal is not an outcome: the same command may be given again when things are different.
            del self._replies[command.command_id]
            future.set_exception(reply)
        else:
            future.set_result(reply)

    def close(self, reason: GreenroomError) -> None:
        """The session is not here any more: everybody who waits is told so."""
        self._closed = reason
        for _, future in self._replies.values():
            if not future.done():
                future.set_exception(reason)


def _not_now() -> StoreUnavailable:
    return StoreUnavailable("an earlier write is still being tried")


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Mark a refusal as seen, so that one nobody waits for any more is not logged as forgotten."""
    if not future.cancelled():
        future.exception()
