"""The boundary between the SQL backend and a PostgreSQL server: its connections, and who may write.

Whoever writes holds an advisory lock of the schema, and all writes go over the connection that holds it. So a lock that
is lost takes its transaction with it, and whoever has the lock knows that no other transaction of the store is under
way: what it reads before it writes stays true, in whatever isolation, and a commit whose answer was lost has either
happened or never will by the time that it is asked for again. The server gives the lock back when the connection ends,
also when its owner was killed.
"""

from __future__ import annotations

import json
import select
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError

from actors.domain.ids import new_ulid
from actors.errors import InvalidConfig, StoreCorrupt, StoreInUse, StoreLost, StoreNotWritable, StoreUnavailable
from actors.storage.database import READERS, STREAM, WRITE, Engines
from actors.storage.failures import raised_by_driver, translated
from actors.storage.postgres_failures import POSTGRES, refusal
from actors.storage.schema import META, METADATA

LOCK_WAIT_S: Final = 3
"""Seconds that a lock is waited for: its last owner may have been killed just now."""

_POOL_WAIT_S: Final = 5.0
"""Seconds that a connection is waited for: about as long as the server may take to give one."""

_REACHING: Final[Mapping[str, str | int]] = {
    "connect_timeout": 5,
    # A server that vanishes without a word is noticed after 11 s, or 10 s while something is being sent.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # Of several hosts in the URL, the one that is not a copy of another.
    "target_session_attrs": "read-write",
    "client_encoding": "utf8",
}
"""How the server is reached, unless the URL says otherwise. Source: postgresql.org/docs/current/libpq-connect.html."""

_MANNERS: Final[Mapping[str, str]] = {
    # Longer than the largest commit, shorter than callers wait.
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "default_transaction_isolation": "read committed",
    # Each query is made for one index, but while tables are small, all plans cost the same. One that was kept since
    # then looked up 10,000 names in two minutes instead of a second; a new plan each time takes 0.05 ms.
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "jit": "off",
    # An owner whose node has vanished keeps its lock for 20 s at most.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
}
"""Settings of every connection."""

_READING: Final[Mapping[str, str]] = {"default_transaction_read_only": "on", "application_name": "greenroom reader"}
"""Further ones of connections that only read."""

_SETTING: Final = "SELECT set_config(name, value, false) FROM json_each_text(%s::json) AS given (name, value)"

_DURABLE: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
"""An acknowledged append survives the loss of power, whatever the server does for others; more is left as it is."""

_END_FORMER: Final = """
    SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity
    WHERE application_name = %s AND pid <> pg_backend_pid()
"""
"""The owner has lost a connection that the server may still take for alive; it is waited for, in ms."""

_SIZE: Final = (
    "SELECT sum(pg_total_relation_size(to_regclass(name)))::bigint FROM unnest(CAST(:names AS text[])) AS of (name)"
)

_WHICH: Final = "SELECT store_id FROM meta WHERE id = 1"

_LOCK: Final = "SELECT pg_advisory_lock(hashtextextended('greenroom store ' || current_schema(), 0))"


class PostgresDatabase:
    """The tables of one schema: the first of the ``search_path`` that exists, ``public`` unless the URL says otherwise.

    Args:
        url: ``postgresql://user:password@host:port/database?sslmode=...``, with any keyword of libpq.

    Raises:
        InvalidConfig: The URL asks for another driver.
    """

    kind = "postgresql"
    failures = POSTGRES
    keeps_connections = False

    def __init__(self, url: URL) -> None:
        if url.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
            raise InvalidConfig("A PostgreSQL store is reached with psycopg: write postgresql://user@host/database.")
        self.location = _location(url)
        self._url = url.set(drivername="postgresql+psycopg")
        self._owner = f"greenroom {new_ulid()}"
        self._engines: Engines | None = None
        self._store_id: str | None = None

    # --- life ------------------------------------------------------------------------------------------------------

    def open(self) -> Engines:
        """See ``Database.open``."""
        engines = Engines(self._engine(READERS), self._engine(1))
        event.listen(engines.reading, "connect", self._reader)
        event.listen(engines.writing, "connect", self._writer)
        self._engines = engines
        try:
            with translated(self.location, POSTGRES), engines.writing.connect() as connection:
                self._inspect(connection)
        except StoreUnavailable as error:
            why = refusal(raised_by_driver(error.__cause__ or error))
            if why is None:
                raise
            raise StoreNotWritable(self.location, why) from error
        return engines

    def unhurried(self, connection: Connection) -> None:
        """See ``Database.unhurried``."""
        connection.execute(text("SET LOCAL statement_timeout = 0"))

    def remember(self, store_id: str) -> None:
        """See ``Database.remember``."""
        self._store_id = store_id

    def check(self) -> None:
        """See ``Database.check``: nothing is known without asking the server."""

    def scrub(self, connection: Connection) -> None:
        """See ``Database.scrub``: what was removed is in the server's files until they are vacuumed, and in its log."""

    def size(self, connection: Connection) -> int:
        """See ``Database.size``."""
        return connection.execute(text(_SIZE), {"names": list(METADATA.tables)}).scalar_one() or 0

    def close(self) -> None:
        """See ``Database.close``."""
        engines, self._engines = self._engines, None
        for engine in engines or ():
            engine.dispose()

    def snapshots(self) -> Engine:
        """An engine for somebody who is not the owner: its transactions change nothing, and see one moment each."""
        engine = self._engine(1)
        event.listen(engine, "connect", self._onlooker)
        return engine.execution_options(**{STREAM: True})

    # --- connections -----------------------------------------------------------------------------------------------

    def _engine(self, size: int) -> Engine:
        own = {name: value for name, value in _REACHING.items() if name not in self._url.query}
        engine = create_engine(
            self._url,
            connect_args={**own, "autocommit": True},
            pool_size=size,
            max_overflow=0,
            pool_timeout=_POOL_WAIT_S,
            # It would ask the server for a type that no table has, over each connection.
            use_native_hstore=False,
            # Parameters are people's messages; they have no place in a traceback.
            hide_parameters=True,
        )
        event.listen(engine, "checkout", _still_there)
        event.listen(engine, "begin", _begin)
        return engine

    def _reader(self, connection: psycopg.Connection[Any], _record: object) -> None:
        with _closed_on_failure(connection):
            _set(connection, {**_MANNERS, **_READING})

    def _onlooker(self, connection: psycopg.Connection[Any], _record: object) -> None:
        with _closed_on_failure(connection):
            _set(connection, {**_MANNERS, **_READING, "default_transaction_isolation": "repeatable read"})

    def _writer(self, connection: psycopg.Connection[Any], _record: object) -> None:
        """Become the owner, again after each loss of the connection."""
        with _closed_on_failure(connection):
            _set(connection, {**_MANNERS, "lock_timeout": f"{LOCK_WAIT_S}s", "application_name": self._owner})
            connection.execute(_DURABLE)
            connection.execute(_END_FORMER, (self._owner,))
            try:
                connection.execute(_LOCK)
            except psycopg.errors.LockNotAvailable as error:
                if self._store_id is None:
                    raise StoreInUse(self.location) from error
                raise StoreUnavailable("another runtime has taken it over", 5.0) from error
            _set(connection, _MANNERS)
            self._check_identity(connection)

    def _check_identity(self, connection: psycopg.Connection[Any]) -> None:
        """The server may come back with another database than it went with."""
        if self._store_id is None:
            return
        try:
            found = connection.execute(_WHICH).fetchone()
        except psycopg.errors.UndefinedTable as error:
            raise StoreLost(self.location) from error
        if found != (self._store_id,):
            raise StoreLost(self.location)

    def _inspect(self, connection: Connection) -> None:
        """Refuse a place where no store can be, or where something else is."""
        schema, encoding = connection.execute(text("SELECT current_schema(), current_setting('server_encoding')")).one()
        if schema is None:
            raise StoreNotWritable(self.location, "none of the schemas of its search_path exists")
        if encoding != "UTF8":
            raise StoreNotWritable(self.location, "its database does not keep text as UTF8; make one that does")
        query = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        found = set(connection.execute(query).scalars()) & set(METADATA.tables)
        if found and META.name not in found:
            raise StoreCorrupt(self.location, "there are tables of another program with the names of a store's")


@contextmanager
def _closed_on_failure(connection: psycopg.Connection[Any]) -> Generator[None]:
    """The pool lets go of a connection that was refused without closing it."""
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            connection.close()
        raise


def _set(connection: psycopg.Connection[Any], settings: Mapping[str, str]) -> None:
    connection.execute(_SETTING, (json.dumps(dict(settings)),))


def _still_there(connection: psycopg.Connection[Any], _record: object, _proxy: object) -> None:
    """Replace a connection that the server has closed while it was not used: there is an end of file to read then."""
    if connection.closed:
        raise DisconnectionError
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(WRITE) or options.get(STREAM):
        # By the driver itself: this is part of every append.
        connection.connection.cursor().execute("BEGIN")


def _location(url: URL) -> str:
    """Where the database is, without user, password and options."""
    hosts = url.query.get("host", ())
    host = url.host or (hosts if isinstance(hosts, str) else ",".join(hosts))
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"
