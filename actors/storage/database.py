"""The boundary between the SQL backend and the database that it keeps its tables in: who owns it, how it is reached.

Above is ``sql``, which knows tables and transactions; below are ``sqlite_database``, the files of one node, and
``postgres``, a server.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from sqlalchemy import Connection, Engine

from actors.storage.failures import Failures

WRITE: Final = "greenroom_write"
"""Execution option of connections whose next transaction is to write."""

STREAM: Final = "greenroom_stream"
"""Execution option of connections that read an answer piece by piece, for which some drivers need a transaction.

All other reads are statements of their own: each sees what is committed when it begins.
"""

READERS: Final = 8
"""Connections for reads: the service's few threads, with room for tools; waiting for one means a defect."""


class Engines(NamedTuple):
    """Where transactions are carried out. Whoever writes owns the store for as long as the connection lives."""

    reading: Engine
    writing: Engine


class Database(Protocol):
    """One database. Its owner is the only one that writes; all methods block."""

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``."""
        ...

    @property
    def location(self) -> str:
        """What people and errors call it; there are no credentials in it."""
        ...

    @property
    def failures(self) -> Failures:
        """How its driver says what went wrong."""
        ...

    @property
    def keeps_connections(self) -> bool:
        """Whether a connection that did not fail is good for the next transaction, without a look at it."""
        ...

    def open(self) -> Engines:
        """Become the owner, and look at what is there without changing it.

        Raises:
            StoreInUse: Somebody else is the owner.
            StoreNotWritable, StoreCorrupt, StoreLost, SnapshotTooNew: As ``Backend.open``.
        """
        ...

    def unhurried(self, connection: Connection) -> None:
        """Let the transaction that a connection is in take as long as it needs: it may rebuild tables."""
        ...

    def remember(self, store_id: str) -> None:
        """The tables are those of this store, and have to be from now on."""
        ...

    def check(self) -> None:
        """Raise a StoreError when it is plain without a write that none would succeed."""
        ...

    def scrub(self, connection: Connection) -> None:
        """See ``Backend.scrub``."""
        ...

    def size(self, connection: Connection) -> int:
        """Bytes that the tables take."""
        ...

    def close(self) -> None:
        """Stop being the owner; idempotent. The engines' connections are closed."""
        ...
