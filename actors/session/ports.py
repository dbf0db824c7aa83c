"""The edges of the core: what a session needs of a store and of hosts, as protocols.

Above are the actors, which wire sockets and Ray behind these; below nothing: the core knows only these shapes.
In-memory implementations (``actors.storage.memory`` under ``StoreService``, ``actors.effect_host``) are product code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from actors.domain.actions import Action
from actors.domain.calls import Attached, CallKey, HostRef, ModelCall, Reconciled, ToolCall
from actors.domain.journal import (
    Appended,
    AppendPart,
    Due,
    Filter,
    FirstOutcome,
    NewSession,
    Snapshot,
    StoredRecord,
    StoredResult,
    StoreIdentity,
)
from actors.domain.retention import Retention
from actors.domain.session import SessionInfo, SnapshotInfo
from actors.domain.stores import DEFAULT_STORE
from actors.domain.tools import ToolDefinition
from actors.domain.usage import SpentOn
from actors.domain.workspaces import Site, Whereabouts
from actors.session.index import Index
from actors.session.kept_beside import KeptBeside
from actors.session.state import State


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an activation needs: the newest snapshot, every record after it, and what hosts wrote down of attempts.

    Attributes:
        kept: Place of the newest snapshot; 0 without one.
        shared: Of a fork, the state that it shares with its source, when that need not be folded; ``records`` follow.
    """

    snapshot: Snapshot | None
    records: tuple[StoredRecord, ...]
    results: tuple[StoredResult, ...] = ()
    kept: int = 0
    shared: State | None = None

    @property
    def head(self) -> int:
        """The last record that is in here, or in what is built upon."""
        if self.records:
            return self.records[-1].seq
        return max(self.kept, self.shared.seq if self.shared is not None else 0)


@dataclass(frozen=True, slots=True)
class Activation:
    """A session taken over: the epoch under which it may be written, and all that was written before."""

    epoch: int
    loaded: Loaded


class Store(Index, KeptBeside, Protocol):
    """A store as sessions, handles and the registry use it: asynchronous, group-committing, able to wait."""

    async def identity(self) -> StoreIdentity:
        """Who this store is."""
        ...

    async def next_term(self) -> int:
        """Begin a registry's term."""
        ...

    async def create(
        self, tenant: str, command_id: str, digest: str, sessions: Sequence[NewSession], *, store: str = DEFAULT_STORE
    ) -> bool:
        """See ``Backend.create``; ``store`` is the name of the one that the sessions live in."""
        ...

    async def destroy(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """See ``Backend.destroy``. Readers that follow the journal get SessionNotFound."""
        ...

    async def purge_session(self, tenant: str, journal_id: str, command_id: str, digest: str) -> bool:
        """``destroy``, and nothing of the session that no other one shares is left when it returns."""
        ...

    async def find(self, tenant: str, session_id: str) -> SessionInfo | None:
        """The projection row by session id."""
        ...

    async def row(self, tenant: str, journal_id: str) -> SessionInfo | None:
        """The projection row by journal id."""
        ...

    async def rows(
        self, tenant: str, wanted: Filter, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[SessionInfo, ...], str | None]:
        """A page of rows and the cursor of the next."""
        ...

    async def count(self, tenant: str, wanted: Filter) -> int:
        """How many sessions match."""
        ...

    async def activate(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> Activation:
        """Take the next epoch, and read what there is of the session.

        Raises:
            Fenced, Superseded: a later assignment, or registry, was here.
            SessionNotFound: no such journal.
        """
        ...

    async def append(self, part: AppendPart) -> Appended:
        """Append durably; parts of many sessions share a commit.

        Raises:
            Fenced, CommandConflict, SessionNotFound, SessionExists: refused, nothing written.
            StoreUnavailable: not written, or not known to be: retry with the same ``batch_id``.
        """
        ...

    async def state(self, tenant: str, journal_id: str, *, upto: int | None = None) -> Snapshot:
        """The fold at a seq (the head when None), without activating anything."""
        ...

    async def records(
        self, tenant: str, journal_id: str, *, after: int = 0, limit: int = 1000
    ) -> tuple[StoredRecord, ...]:
        """A page of records."""
        ...

    async def wait(self, tenant: str, journal_id: str, *, after: int, wait_s: float) -> int:
        """Return the head as soon as it is greater than ``after``, or after ``wait_s`` (at most 30) seconds.

        Raises:
            SessionNotFound: no such journal, or destroyed while waiting.
        """
        ...

    def follow(self, tenant: str, journal_id: str, *, after: int = 0) -> AsyncIterator[tuple[StoredRecord, ...]]:
        """Records as they are committed, in order, without an end; close the iterator to stop."""
        ...

    async def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
        """What a command led to when it was first sent."""
        ...

    async def take_snapshot(self, tenant: str, journal_id: str) -> SnapshotInfo:
        """Keep a snapshot of what is committed, without activating the session; what is the newest now."""
        ...

    async def put_snapshot(self, tenant: str, journal_id: str, snapshot: Snapshot) -> bool:
        """Keep a snapshot."""
        ...

    async def blobs(self, tenant: str, digests: Sequence[str]) -> dict[str, bytes]:
        """The blobs that exist among these."""
        ...

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
        ...

    async def spent(
        self,
        tenant: str,
        *,
        journal_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[SpentOn, ...]:
        """What model calls took, by day and model."""
        ...

    async def due(self, now: datetime, *, limit: int = 1000) -> tuple[Due, ...]:
        """Sessions of all tenants that should live in an actor now."""
        ...

    async def next_wake(self) -> datetime | None:
        """The nearest timer of any session."""
        ...

    async def expire(self, now: datetime, retention: Retention, *, limit: int = 100) -> tuple[tuple[str, str], ...]:
        """Destroy sessions whose time is over: (tenant, journal_id) of those that are gone now."""
        ...

    async def purge(self, now: datetime, *, limit: int = 1000) -> int:
        """Forget what nothing refers to any more, at most ``limit`` of each kind; how many there were."""
        ...

    async def health(self, store: str = DEFAULT_STORE) -> None:
        """Return when the store of this name can read and write, else raise."""
        ...

    async def unavailable(self) -> tuple[str, ...]:
        """Names of the stores, among several, that what was just asked of all of them had no answer from."""
        ...

    async def stats(self) -> dict[str, Any]:
        """Sizes and counts, for people."""
        ...


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool, and the host that runs it; None: the one on the node of the session's workspace.

    Attributes:
        tenant: Whose sessions can use it; None: all.
        journal_id: The one session that can; None: all of the tenant.
    """

    definition: ToolDefinition
    host: HostRef | None = None
    tenant: str | None = None
    journal_id: str | None = None

    def is_for(self, tenant: str, journal_id: str) -> bool:
        """Whether a session can use it."""
        return self.tenant in (None, tenant) and self.journal_id in (None, journal_id)


class Hosts(Protocol):
    """Effect hosts, reached by their ``HostRef``.

    Every method raises HostGone when the host is another incarnation or cannot be reached any more, Fenced when a
    newer epoch of the journal is known to it.
    """

    async def model_host(self, provider: str) -> HostRef:
        """The host that serves a provider; it is started when it has to be.

        Raises:
            UnknownProvider, ModelUnavailable: there is none.
        """
        ...

    async def tools(self) -> tuple[ToolSpec, ...]:
        """The tools there are now; of those that one session can use, each has a name of its own."""
        ...

    async def site(self, asked: Whereabouts) -> Site:
        """Where the tool calls of a workspace run; a host is started there when it has to be."""
        ...

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        """Start the call, or join it when it runs already; returns when it has settled."""
        ...

    async def attach(
        self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey], settled: Sequence[CallKey]
    ) -> list[Attached]:
        """What the host knows of these attempts; acknowledges ``settled`` and raises its fence for the journal."""
        ...

    async def cancel(self, host: HostRef, journal_id: str, epoch: int, key: CallKey) -> Attached:
        """End an attempt; returns what came of it, within 10 s."""
        ...

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        """The outcomes are committed: the host may forget them."""
        ...

    async def reconcile(self, host: HostRef, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """What a tool of this host can tell of a call whose own host died under it.

        Args:
            recorded: What the tool had recorded before it took effect; None when that was nothing.
        """
        ...

    def forget(self, journal_id: str) -> None:
        """The session is not here any more: keep nothing of it."""
        ...

    async def confirmed_dead(self, host: HostRef) -> bool:
        """Return True once that incarnation and every process it started are known to be gone; False if it lives."""
        ...
