"""Forks: sessions that go on from a place in another one's journal."""

from __future__ import annotations

from actors.checks import checked_at
from actors.domain import records as r
from actors.domain.commands import digest_of_json
from actors.domain.ids import check_command_id, check_session_id, new_ulid, utc_now
from actors.domain.journal import NewSession
from actors.domain.session import SessionInfo
from actors.errors import InvalidRequest
from actors.handle import SessionHandle
from actors.manager_lookup import SessionLookup
from actors.session.forking import MAX_NAME, fork_of_row, fork_of_state, name_of
from actors.session.state import from_snapshot


class ForkOperations(SessionLookup):
    """What ``SessionManager`` does with forks."""

    async def fork_session(
        self,
        session_id: str,
        new_id: str,
        *,
        at: int | None = None,
        name: str | None = None,
        command_id: str | None = None,
    ) -> SessionHandle:
        """A new session that goes on from this one as it is, or as it was after the record with seq ``at``.

        It has the conversation and the configuration. What its source has under way stays there: turn, inputs,
        approvals, timers, children. A turn that was open at that place is cancelled in the fork, its running calls
        are unknown. The records up to there are shared, not copied, and stay when the source is destroyed.

        Args:
            session_id: The source.
            new_id: The fork's id.
            at: A place in the source's journal; its last record when None.
            name: The fork's name; that of its source with " (fork)" when None.
            command_id: Idempotency key: the same key never makes a second fork.

        Raises:
            SessionNotFound, InvalidSessionId, SessionExists, CommandConflict: as for ``create_session``.
            InvalidRequest: the journal has no record ``at``, or the name has more than 256 characters or lines.
        """
        check_session_id(new_id)
        if name is not None and (len(name) > MAX_NAME or not name.isprintable()):
            raise InvalidRequest(f"A name is one line of at most {MAX_NAME} characters.")
        cause = check_command_id(command_id) if command_id else new_ulid()
        source = await self.get_info(session_id)
        checked_at(at, source.head_seq)
        fork = await self._fork(source, new_id, at, name, cause)
        digest = digest_of_json(["fork", session_id, new_id, at, name])
        if await self._runtime.store.create(self.tenant, cause, digest, [fork]):
            return SessionHandle(self._runtime, fork.row)
        return await self._session(new_id)

    async def _fork(self, source: SessionInfo, new_id: str, at: int | None, name: str | None, cause: str) -> NewSession:
        now = utc_now()
        if source.open_turn is None and at in {None, source.head_seq}:
            return fork_of_row(source, _data(source, name_of(source.name, name)), new_id, now, cause)
        upto = source.head_seq if at is None else at
        snapshot = await self._runtime.store.state(self.tenant, source.journal_id, upto=upto)
        state = from_snapshot(snapshot.body)
        then = source.model_copy(update={"usage": state.usage, "cost_usd": str(state.cost)})
        return fork_of_state(state, _data(then, name_of(state.config.name, name)), new_id, now, cause)


def _data(source: SessionInfo, name: str) -> r.SessionForked.Data:
    return r.SessionForked.Data(
        journal_id=new_ulid(),
        source_journal_id=source.journal_id,
        source_session_id=source.session_id,
        name=name,
        usage=source.usage,
        cost_usd=source.cost_usd,
    )
