"""Shortening a session's context: the part of ``SessionHandle`` about compaction."""

from __future__ import annotations

from actors.checks import checked_timeout
from actors.domain import commands as c
from actors.domain.compaction import Compaction
from actors.handle_commands import SessionCommands
from actors.reading.compactions import wait_compaction


class SessionCompaction(SessionCommands):
    """The part of ``SessionHandle`` that is about compaction."""

    async def compact(
        self, *, only_when_due: bool = False, timeout: float | None = None, command_id: str | None = None
    ) -> Compaction | None:
        """Let a summary, which the model writes, take the place of all but the first and the last messages.

        2 messages stay at the beginning and 20 at the end, fewer where these are large; a tool call and its result are
        never parted. Large old outputs of tools give way to a marker. Without a model the last 20 messages stay. While
        a turn runs, it happens before the turn's next model call, else at once; inputs that come meanwhile wait. The
        journal keeps everything.

        Args:
            only_when_due: Only if the session would do it by itself: its configuration has ``auto_compact``, and the
                last prompt filled ``auto_compact_threshold`` of the window or more.
            timeout: Seconds to wait; None waits for as long as it takes.
            command_id: Idempotency key: the same key never compacts twice.

        Returns:
            What it did; None when there was nothing to do: of up to 30 messages all stay.

        Raises:
            CompactionPending: it is not over in time, and goes on.
            TurnFailed, ModelAuthFailed, ModelUnavailable: there is no summary, or it was cancelled; nothing changed.
            SessionPaused, SessionEnded: it was refused.
        """
        seconds = checked_timeout(timeout)
        reply = await self._do(c.Compact(**self._identity(command_id), only_when_due=only_when_due))
        if reply.seq is None:
            return None
        ids = (self._tenant, self.session_id, self.journal_id)
        return await wait_compaction(self._runtime.store, *ids, reply.seq, timeout=seconds)

    async def maybe_auto_compact(self, *, timeout: float | None = None, command_id: str | None = None) -> bool:
        """``compact`` only when it is due; whether it has changed anything."""
        return await self.compact(only_when_due=True, timeout=timeout, command_id=command_id) is not None
