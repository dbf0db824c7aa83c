"""The calling end of a store: ``actors.session.ports.Store`` over plain calls to wherever the store lives.

Above are session runners, handles, hosts and the registry; below is a ``Caller`` (a channel's link, or an actor handle)
to somebody who serves ``handlers.store_handlers``. Nothing is retried here: a lost connection is StoreUnavailable, and
asking again with the same batch or command id is safe.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol, TypeVar, cast

from actors.caller import Caller
from actors.domain.actions import Action
from actors.domain.journal import (
    Appended,
    AppendPart,
    Due,
    Filter,
    FirstOutcome,
    Letter,
    NewSession,
    Refused,
    Snapshot,
    StoredRecord,
    StoreIdentity,
)
from actors.domain.retention import Retention
from actors.domain.session import SessionInfo, SnapshotInfo
from actors.domain.stores import DEFAULT_STORE
from actors.domain.usage import SpentOn
from actors.errors import StoreUnavailable, TransportLost
from actors.session.ports import Activation
from actors.session.state import State
from actors.storage import wire
from actors.storage.beginning import completed
from actors.storage.gathering import Gathering
from actors.storage.moments import maybe_micros, maybe_moment, micros
from actors.storage.remote_index import RemoteIndex
from actors.storage.remote_kept import RemoteKept
from actors.storage.rules import MAX_PAGE
from actors.storage.watch import Hint
from actors.storage.wire import Plain, each, maybe

T = TypeVar("T")

_RETRY_AFTER_S: Final = 0.2
"""Seconds after a lost connection: the next call connects again at once, a restarted store needs a little."""


class SharedStates(Protocol):
    """States that many sessions share, somewhere where each of them reads them by itself."""

    async def state(self, tenant: str, journal_id: str, upto: int) -> State | None:
        """The state at a place of a journal; None when it cannot be had there."""
        ...


class RemoteStore(RemoteIndex, RemoteKept):
    """A store somewhere else.

    Args:
        caller: Reaches it. Closing the caller is its owner's business.
        shared: Where large states that forks share are read, so that the store need not send them to each of them.
    """

    def __init__(self, caller: Caller, shared: SharedStates | None = None) -> None:
        self._caller = caller
        self._shared = shared
        self._appends = Gathering(self._append)

    async def _call(self, method: str, /, **args: Any) -> Plain:
        try:
            return await self._caller.call(method, **args)
        except TransportLost as error:
            raise StoreUnavailable("the connection to it was lost", _RETRY_AFTER_S) from error

    async def _stream(self, read: Callable[[Plain], T], method: str, /, **args: Any) -> AsyncGenerator[tuple[T, ...]]:
        # What Caller.stream gives has aclose, as generators have; a protocol cannot say so of an AsyncIterator.
        items = cast("AsyncGenerator[list[Plain]]", self._caller.stream(method, **args))
        try:
            async with aclosing(items):
                async for item in items:
                    yield tuple(each(read, item))
        except TransportLost as error:
            raise StoreUnavailable("the connection to it was lost", _RETRY_AFTER_S) from error

    # --- writes ----------------------------------------------------------------------------------------------------

    async def next_term(self) -> int:
        """Begin a registry's term."""
        return await self._call("next_term")

    async def create(
        self, tenant: str, command_id: str, digest: str, sessions: Sequence[NewSession], *, store: str = DEFAULT_STORE
    ) -> bool:
        """See ``Store.create``."""
        args = {"command_id": command_id, "digest": digest, "sessions": each(wire.new_out, sessions), "store": store}
        return await self._call("create", tenant=tenant, **args)

    async def destroy(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """See ``Backend.destroy``."""
        return await self._call("destroy", tenant=tenant, journal_id=journal_id, command_id=command_id, digest=digest)

    async def purge_session(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """See ``Store.purge_session``."""
        args = {"tenant": tenant, "journal_id": journal_id, "command_id": command_id, "digest": digest}
        return await self._call("purge_session", **args)

    async def activate(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Activation:
        """See ``Store.activate``."""
        wanted = {"tenant": tenant, "journal_id": journal_id}
        taken = {"term": term, "assignment_no": assignment_no, "share": self._shared is not None}
        got, loaded, upto = await self._call("activate", **wanted, **taken)
        acquired = wire.acquired_in(got)
        state: State | None = None
        if upto is not None and self._shared is not None:
            state = await self._shared.state(tenant, journal_id, upto)
            if state is None:
                loaded = await self._call("load", **wanted)
        begun = replace(wire.loaded_in(loaded), shared=state)
        read = partial(self.records, tenant, journal_id, limit=MAX_PAGE)
        return Activation(acquired.epoch, await completed(begun, acquired.head_seq, lambda after: read(after=after)))

    async def append(self, part: AppendPart) -> Appended:
        """See ``Store.append``."""
        return await self._appends.append(part)

    async def _append(self, parts: Sequence[AppendPart]) -> Sequence[Appended | Refused]:
        return each(wire.answer_in, await self._call("append", parts=each(wire.part_out, parts)))

    async def take_snapshot(self, tenant: str, journal_id: str) -> SnapshotInfo:
        """See ``Store.take_snapshot``."""
        return SnapshotInfo(**await self._call("take_snapshot", tenant=tenant, journal_id=journal_id))

    async def put_snapshot(self, tenant: str, journal_id: str, snapshot: Snapshot) -> bool:
        """Keep a snapshot."""
        plain = wire.snapshot_out(snapshot)
        return await self._call("put_snapshot", tenant=tenant, journal_id=journal_id, snapshot=plain)

    async def delivered(self, letters: Sequence[tuple[str, str, int]]) -> None:
        """See ``Backend.delivered``."""
        await self._call("delivered", letters=each(list, letters))

    async def expire(self, now: datetime, retention: Retention, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
        """See ``StoreService.expire``."""
        kept = wire.retention_out(retention)
        gone = await self._call("expire", now=micros(now), retention=kept, limit=limit)
        return tuple((tenant, journal_id) for tenant, journal_id in gone)

    async def purge(self, now: datetime, *, limit: int = 1000) -> int:
        """See ``Backend.purge``."""
        return await self._call("purge", now=micros(now), limit=limit)

    async def health(self, store: str = DEFAULT_STORE) -> None:
        """Return when the store of this name can read and write, else raise."""
        await self._call("health", store=store)

    # --- reads -----------------------------------------------------------------------------------------------------

    async def identity(self) -> StoreIdentity:
        """Who this store is."""
        return wire.identity_in(await self._call("identity"))

    async def find(self, tenant: str, session_id: str) -> SessionInfo | None:
        """The projection row by session id."""
        return maybe(wire.info_in, await self._call("find", tenant=tenant, session_id=session_id))

    async def row(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """The projection row by journal id."""
        return maybe(wire.info_in, await self._call("row", tenant=tenant, journal_id=journal_id))

    async def rows(
        self, tenant: str, wanted: Filter, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[SessionInfo, ...], str | None]:
        """A page of rows and the cursor of the next."""
        args = {"tenant": tenant, "wanted": wire.filter_out(wanted), "after": after, "limit": limit}
        page, more = await self._call("rows", **args)
        return tuple(each(wire.info_in, page)), more

    async def count(self, tenant: str, wanted: Filter) -> int:
        """How many sessions match."""
        return await self._call("count", tenant=tenant, wanted=wire.filter_out(wanted))

    async def state(self, tenant: str, journal_id: str, *, upto: int | None = None) -> Snapshot:
        """The fold at a seq, without activating anything."""
        return wire.snapshot_in(await self._call("state", tenant=tenant, journal_id=journal_id, upto=upto))

    async def records(
        self, tenant: str, journal_id: str, *, after: int = 0, limit: int = 1000
    ) -> tuple[StoredRecord, ...]:
        """A page of records."""
        page = await self._call("records", tenant=tenant, journal_id=journal_id, after=after, limit=limit)
        return tuple(each(wire.record_in, page))

    async def wait(self, tenant: str, journal_id: str, *, after: int, wait_s: float) -> int:
        """See ``Store.wait``."""
        return await self._call("wait", tenant=tenant, journal_id=journal_id, after=after, wait_s=wait_s)

    def follow(self, tenant: str, journal_id: str, *, after: int = 0) -> AsyncGenerator[tuple[StoredRecord, ...]]:
        """See ``Store.follow``; StoreUnavailable when the connection is lost: follow again from the last record."""
        return self._stream(wire.record_in, "follow", tenant=tenant, journal_id=journal_id, after=after)

    def hints(self) -> AsyncGenerator[tuple[Hint, ...]]:
        """See ``StoreService.hints``; StoreUnavailable when the connection is lost."""
        return self._stream(wire.hint_in, "hints")

    async def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        """What a command led to when it was first sent."""
        found = await self._call("first_outcome", tenant=tenant, journal_id=journal_id, command_id=command_id)
        return maybe(wire.outcome_in, found)

    async def blobs(self, tenant: str, digests: Sequence[str]) -> dict[str, bytes]:
        """The blobs that exist among these, in as many calls as their size takes."""
        found: dict[str, bytes] = {}
        rest = list(digests)
        while rest:
            some, rest = await self._call("blobs", tenant=tenant, digests=rest)
            found |= some
        return found

    async def actions(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        tree: bool = False,
        pending: bool = True,
        kind: str | None = None,
        action_id: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> tuple[tuple[Action, ...], str | None]:
        """A page of actions, oldest first."""
        page, more = await self._call(
            "actions",
            tenant=tenant,
            journal_id=journal_id,
            tree=tree,
            pending=pending,
            kind=kind,
            action_id=action_id,
            after=after,
            limit=limit,
        )
        return tuple(each(wire.action_in, page)), more

    async def spent(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[SpentOn, ...]:
        """What model calls took, by day and model."""
        bounds = {"since": maybe_micros(since), "until": maybe_micros(until)}
        found = await self._call("spent", tenant=tenant, journal_id=journal_id, **bounds)
        return tuple(map(SpentOn.model_validate_json, found))

    async def receivers(
        self, *, after: tuple[str, str] | None = None, limit: int = 1000
    ) -> tuple[tuple[str, str], ...]:
        """See ``Backend.receivers``."""
        page = await self._call("receivers", after=list(after) if after is not None else None, limit=limit)
        return tuple((tenant, journal_id) for tenant, journal_id in page)

    async def letters(self, tenant: str, target_journal_id: str, *, limit: int = 100) -> tuple[Letter, ...]:
        """See ``Backend.letters``."""
        page = await self._call("letters", tenant=tenant, target_journal_id=target_journal_id, limit=limit)
        return tuple(each(wire.letter_in, page))

    async def due(self, now: datetime, *, limit: int = 1000) -> tuple[Due, ...]:
        """Sessions of all tenants that should live in an actor now."""
        return tuple(each(Due._make, await self._call("due", now=micros(now), limit=limit)))

    async def next_wake(self) -> datetime | None:
        """The nearest timer of any session."""
        return maybe_moment(await self._call("next_wake"))

    async def unavailable(self) -> tuple[str, ...]:
        """See ``Store.unavailable``."""
        return tuple(await self._call("unavailable"))

    async def stats(self) -> dict[str, Any]:
        """Sizes and counts, for people."""
        return await self._call("stats")

    async def shelf(self) -> dict[str, int]:
        """What the store has put into an object store: see ``Shelf.stats``."""
        return await self._call("shelf")
