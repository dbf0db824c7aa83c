"""The boundary between the SQL backend and a SQLite database: how its connections behave.

Below are the files that it is on disk (``sqlite``).
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

from actors.storage.database import READERS, WRITE, Engines
from actors.storage.failures import SQLITE
from actors.storage.sqlite import SqliteFiles

_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    # An acknowledged append survives the loss of power.
    "PRAGMA synchronous=FULL",
    # 2 s: longer than another program's read of the schema, shorter than a session's patience.
    "PRAGMA busy_timeout=2000",
    # 16 MB of log between two checkpoints, four times the default: a checkpoint is the slow append among many.
    "PRAGMA wal_autocheckpoint=4000",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-8192",
    # What is deleted is overwritten with zeros. A destroy of 100 records takes 0.8 ms with it, and 0.5 ms without.
    "PRAGMA secure_delete=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA trusted_schema=OFF",
)


class SqliteDatabase:
    """One file, owned by one process at a time.

    Args:
        path: Where the database is or will be. Only ``open`` touches files.

    Raises:
        InvalidConfig: The path is not a place in the file system.
    """

    kind = "sqlite"
    failures = SQLITE
    keeps_connections = True

    def __init__(self, path: str) -> None:
        self._files = SqliteFiles(path)
        self.location = self._files.location
        self._engine: Engine | None = None

    def open(self) -> Engines:
        """See ``Database.open``."""
        self._files.lock()
        self._files.inspect()
        self._files.prepare()
        self._engine = _engine(self.location)
        return Engines(self._engine, self._engine)

    def unhurried(self, connection: Connection) -> None:
        """See ``Database.unhurried``: nobody hurries it."""

    def remember(self, store_id: str) -> None:
        """See ``Database.remember``."""
        self._files.remember(store_id)

    def check(self) -> None:
        """See ``Database.check``."""
        self._files.check_present()
        self._files.check_room()

    def scrub(self, connection: Connection) -> None:
        """See ``Database.scrub``: what is removed is overwritten, and so is the log once nobody reads it."""
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    def size(self, connection: Connection) -> int:
        """See ``Database.size``."""
        pages = text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return connection.execute(pages).scalar_one()

    def close(self) -> None:
        """See ``Database.close``."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()
        self._files.unlock()


def _engine(path: str) -> Engine:
    """An engine whose transactions write only when they say so, and then hold the write lock from the start."""
    engine = create_engine(
        URL.create("sqlite", database=path),
        # Prepared statements hand their parameters to the driver by name.
        paramstyle="named",
        pool_size=READERS + 1,
        max_overflow=0,
        # Parameters are people's messages; they have no place in a traceback.
        hide_parameters=True,
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    # The driver would begin transactions by guessing from the statement's first word.
    connection.isolation_level = None
    connection.text_factory = _legible
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _legible(text: bytes) -> str:
    """A text whatever has become of it: the driver would fail a whole answer for one that is no UTF-8 any more."""
    return text.decode(errors="replace")


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITE):
        # By the driver itself: this is part of every append.
        connection.connection.cursor().execute("BEGIN IMMEDIATE")
