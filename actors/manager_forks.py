"""Forks: sessions that go on from a place in another one's journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from actors.checks import checked_at, checked_prompt, checked_timeout
from actors.domain import records as r
from actors.domain.command import digest_of_json
from actors.domain.ids import check_command_id, check_session_id, derived_id, new_ulid, utc_now
from actors.domain.journal import NewSession
from actors.domain.session import Activity, SessionInfo
from actors.errors import InvalidRequest, SessionNotFound
from actors.handle import SessionHandle
from actors.manager_lookup import SessionLookup
from actors.manager_race import Alternative, ForkResult, Join, checked_join, joined
from actors.session.forking import MAX_NAME, fork_of_row, fork_of_state, name_of
from actors.session.state import from_snapshot

MAX_FORKS = 256
"""Forks of one call: each is a turn under way at the same time."""

Maker = Callable[[str, str | None, str], NewSession]
"""A fork from its id, the name that was asked for, and the command that makes it."""


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
        fork = (await self._maker(source, at))(new_id, name, cause)
        digest = digest_of_json(["fork", session_id, new_id, at, name])
        if await self._runtime.store.create(self.tenant, cause, digest, [fork]):
            return SessionHandle(self._runtime, fork.row)
        return await self._session(new_id)

    async def fork_many(
        self,
        session_id: str,
        prompts: str | Sequence[str],
        *,
        n: int | None = None,
        at: int | None = None,
        join: Join = "all",
        timeout: float | None = None,
        command_id: str | None = None,
    ) -> tuple[ForkResult, ...]:
        """Let alternatives go on from one place side by side: forks, all or none, with a prompt each.

        What becomes of each is a value: a fork that fails keeps nobody waiting. When the caller dies, the forks work
        on; the same call with the same ``command_id`` finds them, prompts none twice, and cleans up. Without a
        ``command_id`` they are sessions like others, with the source as ``parent_id``.

        Args:
            session_id: The source.
            prompts: One for each fork; a single text goes to ``n`` of them.
            n: How many forks get the single text.
            at: As for ``fork_session``.
            join: ``"all"`` waits for all answers and keeps all forks. ``"first"`` keeps the fork that completes
                first. A function is given all results and returns the index of the one to keep, or None for none.
                Those that are not kept are cancelled and destroyed; when it raises, all are kept.
            timeout: Seconds to wait for answers; a fork without one then has the outcome ``pending``. While one may
                still be the first to complete, all are kept: the same call with the same ``command_id`` waits on.
            command_id: Idempotency key of everything this call does.

        Returns:
            What became of each fork, in the order of the prompts.

        Raises:
            InvalidRequest: no prompts or more than 256, or no record ``at``. SessionNotFound.
        """
        given, join = _prompts(prompts, n), checked_join(join)
        seconds = checked_timeout(timeout)
        cause = check_command_id(command_id) if command_id else new_ulid()
        source = await self.get_info(session_id)
        checked_at(at, source.head_seq)
        make = await self._maker(source, at)
        stem = derived_id(f"{session_id[:96]}-", source.journal_id, cause)
        names = [f"{stem}-{number}" for number in range(1, len(given) + 1)]
        digest = digest_of_json(["fork_many", session_id, given, at])
        await self._runtime.store.create(self.tenant, cause, digest, [make(name, None, cause) for name in names])
        rows = [await self._runtime.store.find(self.tenant, name) for name in names]
        alternatives = [
            Alternative(name, SessionHandle(self._runtime, row) if row is not None else None, prompt)
            for name, row, prompt in zip(names, rows, given, strict=True)
        ]
        results, kept = await joined(alternatives, join, seconds, cause)
        if kept is not None:
            lost = [one.handle for index, one in enumerate(alternatives) if index != kept and one.handle is not None]
            await asyncio.gather(*(self._clean(handle) for handle in lost))
        return results

    async def _clean(self, loser: SessionHandle) -> None:
        with suppress(SessionNotFound):
            # One that has answered need not be activated to be removed.
            if (await loser.info()).activity is not Activity.idle:
                await loser.cancel("another alternative was kept")
        await self._destroy(loser.journal_id, loser.session_id, new_ulid())

    async def _maker(self, source: SessionInfo, at: int | None) -> Maker:
        """What makes forks of one place: what has to be read for them is read once."""
        now = utc_now()
        if source.open_turn is None and at in {None, source.head_seq}:
            return lambda new_id, name, cause: fork_of_row(
                source, _data(source, name_of(source.name, name)), new_id, now, cause
            )
        upto = source.head_seq if at is None else at
        state = from_snapshot((await self._runtime.store.state(self.tenant, source.journal_id, upto=upto)).body)
        then = source.model_copy(update={"usage": state.usage, "cost_usd": str(state.cost)})
        return lambda new_id, name, cause: fork_of_state(
            state, _data(then, name_of(state.config.name, name)), new_id, now, cause
        )


def _prompts(prompts: str | Sequence[str], n: int | None) -> list[str]:
    if isinstance(prompts, str) != (n is not None):
        raise InvalidRequest("Give a list of prompts, or one text and n, how many forks get it.")
    count = n if n is not None else len(prompts)
    if not 0 < count <= MAX_FORKS:
        raise InvalidRequest(f"Fork 1 to {MAX_FORKS} times at once.")
    given = [prompts] * count if isinstance(prompts, str) else list(prompts)
    return [checked_prompt(prompt).text for prompt in given]


def _data(source: SessionInfo, name: str) -> r.SessionForked.Data:
    return r.SessionForked.Data(
        journal_id=new_ulid(),
        source_journal_id=source.journal_id,
        source_session_id=source.session_id,
        name=name,
        usage=source.usage,
        cost_usd=source.cost_usd,
    )
