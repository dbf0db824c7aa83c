"""The end of sessions: destroyed, or purged."""

from __future__ import annotations

from contextlib import suppress

from actors.domain.command import digest_of_json
from actors.domain.ids import check_command_id, derived_id, new_ulid
from actors.domain.journal import Known
from actors.domain.session import Activity
from actors.errors import CommandConflict, SessionNotFound, StoreCorrupt
from actors.handle import SessionHandle
from actors.manager_lookup import SessionLookup


class RemovalOperations(SessionLookup):
    """How ``SessionManager`` ends sessions."""

    async def destroy_session(self, session_id: str, *, cascade: bool = False, command_id: str | None = None) -> bool:
        """Remove a session and all that belongs to it; False when there was none. Its forks stay.

        Its children stay too unless ``cascade``: then it stops working, and goes last, after everything below it. When
        that is interrupted some are gone and the rest is paused; the same call goes on.

        A session of which something cannot be read (``RowCorrupt``, a journal that no longer makes a state) goes like
        any other. What it still owed those above it is told as far as it can be read.

        From here on nothing of it is found. The store removes the records of a long one a little at a time later, what
        it shares with forks when the last of them goes; ``purge_session`` waits for all that can be removed now.
        """
        if not cascade:
            return await self._remove(session_id, command_id, purge=False)
        return await self._remove_family(session_id, check_command_id(command_id) if command_id else new_ulid())

    async def _remove_family(self, session_id: str, cause: str) -> bool:
        """Remove a session and all below it.

        Its end is the last step, so what the command means has to be settled before the first one: a conflict must
        leave everything as it is, and the same command again, given when the id is another session's, must not touch
        that. The store remembers commands that remove nothing: the first says what is wanted, the second of which
        journal. The third is the removal.
        """
        store = self._runtime.store
        top = await store.known(self.tenant, session_id)
        await store.destroy(self.tenant, "", cause, digest_of_json(["destroy", session_id, "cascade"]))
        meant = digest_of_json([session_id, top.journal_id if top is not None else None])
        try:
            await store.destroy(self.tenant, "", derived_id("of_", cause), meant)
        except CommandConflict:
            # The one that was meant is gone: had the command been interrupted, it would still be there.
            top = None
        if top is not None:
            await self._clear_below(top)
        return await self._destroy(top.journal_id if top is not None else "", session_id, derived_id("end_", cause))

    async def _clear_below(self, top: Known) -> None:
        """Remove all that is below a session, the lowest first. Each is stopped before, so that it starts no others."""
        stack = [top]
        while stack:
            one = stack[-1]
            await self._stop(one)
            # Damaged rows may name each other as parents.
            below = [
                child for child in await self._runtime.store.below(self.tenant, one.journal_id) if child not in stack
            ]
            stack += below
            if not below:
                stack.pop()
                if one is not top:
                    await self._destroy(one.journal_id, one.session_id, new_ulid())

    async def _stop(self, one: Known) -> None:
        """Let a session start nothing any more. One of which something cannot be read does not, or ends trying."""
        with suppress(SessionNotFound, StoreCorrupt):
            row = await self._runtime.store.row(self.tenant, one.journal_id)
            if row is not None and row.activity is not Activity.idle:
                handle = SessionHandle(self._runtime, row)
                await handle.pause()
                await handle.cancel("its family is destroyed")

    async def purge_session(self, session_id: str, *, command_id: str | None = None) -> bool:
        """Destroy a session, and leave nothing that only it had: False when there was none.

        When it returns, its records, blobs, snapshot, actions, outcomes of calls and messages to it are out of the
        database, their place overwritten, and the log of SQLite is empty if nobody was reading from it.

        What stays: what forks of it share, until the last of them goes; messages that it sent and nobody has taken yet;
        the ids of the commands that created and destroyed it, for 24 hours; in the memory of hosts the ids of its
        calls, so that none is run by a late message, and for a minute outcomes that nobody fetched; and what others
        have of it, as backups, answers in a parent's journal, and files that its tools wrote.

        Args:
            session_id: Whose end it is.
            command_id: Idempotency key; the same key gives the first answer.

        Raises:
            CommandConflict: the key was used for something else, ``destroy_session`` included.
        """
        return await self._remove(session_id, command_id, purge=True)

    async def _remove(self, session_id: str, command_id: str | None, *, purge: bool) -> bool:
        cause = check_command_id(command_id) if command_id else new_ulid()
        known = await self._runtime.store.known(self.tenant, session_id)
        if known is None and command_id is None:
            return False
        # Without a session the store still knows what this very command did before.
        return await self._destroy(known.journal_id if known else "", session_id, cause, purge=purge)
