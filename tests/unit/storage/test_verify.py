"""Whether a store is whole: nothing is said of one that is, and each kind of damage is found and named."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from actors.errors import SnapshotTooNew, StoreCorrupt, StoreNotFound
from actors.storage.open import open_backend
from actors.storage.verify import Verification
from tests.postgres import PASSWORD, PostgresServer
from tests.unit.storage.a_store import fill
from tests.unit.storage.samples import born, part


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole")
    await fill(str(directory))
    return directory


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "store"))


def said(place: Path | str) -> list[str]:
    return [str(finding) for finding in Verification(place)]


def damaged(store: Path, *statements: str) -> None:
    with closing(sqlite3.connect(store / "greenroom.db", isolation_level=None)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, f"nothing to damage: {statement}"


def test_nothing_is_wrong_with_a_store_that_is_whole(store: Path) -> None:
    verification = Verification(store)

    assert list(verification) == []
    assert verification.sessions == 5
    assert verification.records > 100
    assert verification.blobs >= 1


def test_a_process_that_does_nothing_else_verifies_a_store(store: Path) -> None:
    # Statements are compiled for the first database that a process opens: here that of the verification.
    source = (
        "import sys; from actors.storage.verify import Verification as V; print([str(one) for one in V(sys.argv[1])])"
    )

    done = subprocess.run([sys.executable, "-c", source, str(store)], capture_output=True, text=True, check=False)

    assert done.stdout == "[]\n", done.stderr


def test_a_store_is_verified_while_it_is_in_use_and_left_as_it_is(store: Path) -> None:
    with closing(open_backend(str(store))) as backend:
        before = (store / "greenroom.db").read_bytes()
        assert said(store) == []
        backend.health()
        assert (store / "greenroom.db").read_bytes() == before


def of_version_1(store: Path, directory: Path) -> Path:
    """What of a store the first release would have written, in a database as it made them."""
    directory.mkdir()
    path = directory / "greenroom.db"
    schema = (Path(__file__).parent / "golden" / "schema-1.sqlite.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(schema)
        connection.execute("ATTACH ? AS newer", (str(store / "greenroom.db"),))
        for (table,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            old, new = (
                {name for _, name, *_ in connection.execute(f"PRAGMA {schema}.table_info({table})")}
                for schema in ("main", "newer")
            )
            if table != "outbox":
                columns = ", ".join(sorted(old & new))
                connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}")
        connection.execute("UPDATE main.meta SET schema_version = 1")
    return directory


def test_a_backup_of_an_older_release_is_verified_as_a_runtime_would_see_it(store: Path, tmp_path: Path) -> None:
    old = of_version_1(store, tmp_path / "old")
    before = (old / "greenroom.db").read_bytes()

    verification = Verification(old)

    assert list(verification) == []
    assert verification.sessions == 5
    assert (old / "greenroom.db").read_bytes() == before


TALKING = "(SELECT journal_id FROM sessions WHERE session_id = 'talking')"
WAITING = "(SELECT journal_id FROM sessions WHERE session_id = 'waiting')"
SMALL = "(SELECT journal_id FROM sessions WHERE session_id = 'child')"

DAMAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "a gap": ((f"DELETE FROM records WHERE seq = 4 AND journal_id = {TALKING}",), "records 4 to 4 are missing"),
    "no end": (
        (f"DELETE FROM records WHERE seq = 6 AND journal_id = {SMALL}",),
        "its row says 6 records, there are 5",
    ),
    "an unreadable record": (
        (f"UPDATE records SET body = X'7B7D' WHERE seq = 5 AND journal_id = {TALKING}",),
        "record 5 cannot be read",
    ),
    "a record of another time": (
        (f"UPDATE records SET at = at - 3600000000 WHERE seq = 5 AND journal_id = {TALKING}",),
        "record 5 says something else than its columns",
    ),
    "another cause": (
        (f"UPDATE records SET cause = 'x' WHERE seq = 2 AND journal_id = {TALKING}",),
        "record 2 says something else than its columns",
    ),
    "another epoch": (
        (f"UPDATE sessions SET epoch = 0 WHERE journal_id = {TALKING}",),
        "its row has an older epoch than its last record",
    ),
    "a row that is not the fold": (
        (f"UPDATE sessions SET turns = 7, queued = 3 WHERE journal_id = {TALKING}",),
        "its row is not the fold of its records: queued, turns",
    ),
    "text in the place of bytes": (("UPDATE actions SET body = 'text'",), "cannot be read"),
    "an unreadable row": (
        (f"UPDATE sessions SET state = 'odd' WHERE journal_id = {TALKING}",),
        "its row does not have the form that was written",
    ),
    "a command carried out twice": (
        (
            "DROP INDEX records_cause",
            f"UPDATE records SET digest = 'd', cause = 'twice' WHERE seq IN (4, 5) AND journal_id = {TALKING}",
            "CREATE INDEX records_cause ON records (cause)",
        ),
        "command twice was carried out twice",
    ),
    "a snapshot that is not the fold": (
        ("UPDATE snapshots SET body = CAST(replace(body, 'number 3', 'number 4') AS BLOB)",),
        "is not the fold of the records",
    ),
    "an unreadable snapshot": (("UPDATE snapshots SET body = X'7B'",), "cannot be read"),
    "a snapshot of a time to come": (("UPDATE snapshots SET seq = 5000",), "the snapshot at 5000 is of a time to come"),
    "a lost blob": (("DELETE FROM blobs",), "is missing"),
    "a lost reference to a blob": (("DELETE FROM blob_refs",), "is missing"),
    "a changed blob": (("UPDATE blobs SET body = X'00'",), "its content is not what its name says"),
    "a lost action": (("DELETE FROM actions",), "is pending and not listed"),
    "an action that is settled": (
        (f"UPDATE actions SET journal_id = {SMALL}",),
        "is listed as pending and is not",
    ),
    "another action": (
        ("UPDATE actions SET body = CAST(replace(body, '\"ls\"', '\"bash\"') AS BLOB)",),
        "is listed otherwise than its records say",
    ),
    "a message of no record": (
        (f"INSERT INTO outbox VALUES ('default', {TALKING}, 5000, 'x', X'00')",),
        "message 5000 of its outbox follows from no record",
    ),
    "an outcome of another session": (
        ("UPDATE effect_results SET call_id = 'another:1:3'",),
        "the outcome of another:1:3 is another session's",
    ),
    "rows of no session": ((f"DELETE FROM sessions WHERE journal_id = {SMALL}",), "belong to no session"),
    "a lost index": (("DROP INDEX sessions_updated",), "sessions_updated is missing"),
    "a lost table": (("DROP TABLE outbox",), "outbox is missing"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_kind_of_damage_is_found_and_named(store: Path, kind: str) -> None:
    statements, expected = DAMAGE[kind]
    damaged(store, *statements)

    findings = said(store)

    assert any(expected in one for one in findings), findings


def test_an_index_that_contradicts_its_table_is_found(store: Path) -> None:
    path = store / "greenroom.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = 1")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'updated_at', 'created_at') WHERE name = 'sessions_updated'"
        )

    assert any("sessions_updated" in one for one in said(store))


def zero_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 8192 * 4096
    content[middle : middle + 4096] = bytes(4096)
    path.write_bytes(content)


def test_pages_that_are_damaged_are_found(store: Path) -> None:
    with closing(sqlite3.connect(store / "greenroom.db")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    zero_page(store / "greenroom.db")

    with pytest.raises(AssertionError):
        try:
            assert said(store) == []
        except StoreCorrupt as error:
            raise AssertionError from error


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (x)")


def newer(path: Path) -> None:
    with closing(open_backend(f"sqlite:///{path}")):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")
        connection.commit()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: None, StoreNotFound),
        (lambda path: path.write_bytes(b"text " * 1000), StoreCorrupt),
        (foreign, StoreCorrupt),
        (newer, SnapshotTooNew),
    ],
)
def test_what_is_no_store_of_this_release_is_refused(
    tmp_path: Path, make: Callable[[Path], object], error: type[Exception]
) -> None:
    make(tmp_path / "greenroom.db")

    with pytest.raises(error):
        list(Verification(tmp_path))


def test_a_million_findings_of_one_kind_are_not_kept(tmp_path: Path) -> None:
    with closing(open_backend(str(tmp_path))) as backend:
        for number in range(150):
            born(backend, f"s{number}")
            backend.append([part(f"s{number}", 1)])
    damaged(tmp_path, "DELETE FROM sessions")

    assert len(said(tmp_path)) == 100


# --- on a server -----------------------------------------------------------------------------------------------------


async def test_a_store_on_a_server_is_read_as_one_on_a_disk_and_each_damage_is_named(postgres: PostgresServer) -> None:
    schema = postgres.fresh()
    url = postgres.url(schema)
    await fill(url)

    # Also while a runtime works on it.
    with closing(open_backend(url)):
        verification = Verification(url)
        assert list(verification) == []
    assert (verification.sessions, verification.records > 100, verification.blobs >= 1) == (5, True, True)
    assert PASSWORD not in verification.location

    with postgres.connect(schema) as connection:
        for statement in (
            "UPDATE blobs SET body = 'x'",
            "UPDATE sessions SET turns = turns + 1 WHERE session_id = 'talking'",
            "INSERT INTO actions VALUES ('default', 'nobody', 'a', 0, 0, 'x', 'approval')",
        ):
            assert connection.execute(statement.encode()).rowcount > 0
        found = "\n".join(said(url))
        for words in ("its content is not what its name says", "talking", "1 rows in actions belong to no session"):
            assert words in found
        connection.execute("DROP INDEX sessions_wake")
        assert said(url) == ["database: sessions_wake is missing"]


def test_a_server_without_a_store_has_nothing_to_verify(postgres: PostgresServer) -> None:
    with pytest.raises(StoreNotFound):
        list(Verification(postgres.url(postgres.fresh())))
