"""A session's title: the part of ``SessionHandle`` that has its model find one."""

from __future__ import annotations

from actors.checks import checked_timeout
from actors.domain import commands as c
from actors.handle_commands import SessionCommands
from actors.reading.titles import wait_title


class SessionTitles(SessionCommands):
    """The part of ``SessionHandle`` that is about its title."""

    async def generate_title(self, *, timeout: float | None = None, command_id: str | None = None) -> str | None:
        """Let the session's model find a title from the first messages, and make it the session's name.

        It is asked for between two turns, before inputs that wait, and counted in the session's usage. The
        conversation stays as it is.

        Args:
            timeout: Seconds to wait; None waits for as long as it takes.
            command_id: Idempotency key: the same key never asks twice.

        Returns:
            The title, one line of at most 80 characters. None, and the name stays, when nobody has said anything yet,
            there is no model, or it wrote nothing.

        Raises:
            TitlePending: it is not there in time, and comes.
            TurnFailed, ModelAuthFailed, ModelUnavailable: there is none, or it was cancelled; the name stays.
            SessionPaused, SessionEnded: it was refused.
        """
        seconds = checked_timeout(timeout)
        reply = await self._do(c.GenerateTitle(**self._identity(command_id)))
        if reply.seq is None:
            return None
        ids = (self._tenant, self.session_id, self.journal_id)
        return await wait_title(self._runtime.store, *ids, reply.seq, timeout=seconds)
