"""The boundary between releases: a database of an older schema is led to this one's, step by step, in one transaction.

A new store is made from ``schema`` directly. The step to version n assumes exactly what version n - 1 left, and names
tables and columns itself, since ``schema`` describes only the newest.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection, insert, inspect, select, text, update

from actors.domain.ids import new_ulid, utc_now
from actors.errors import InternalError, SnapshotTooNew
from actors.storage.moments import micros
from actors.storage.rules import SCHEMA_VERSION, SECRET_BYTES
from actors.storage.schema import META, METADATA

Step = Callable[[Connection], None]


def _to_2(connection: Connection) -> None:
    """Children owe their parents answers, letters outlive their senders, sessions may expire, forks share records.

    What models took is found by time. MCP servers are kept. What tools recorded is kept beside
    outcomes, of which there may be none.

    No release of version 1 wrote to the outbox, so the table is made anew. Blobs go with the last session that holds
    them; those of sessions that version 1 destroyed were left to a purge that nobody called.
    """
    for statement in (
        "ALTER TABLE meta ADD COLUMN secret TEXT NOT NULL DEFAULT ''",
        f"UPDATE meta SET secret = '{secrets.token_hex(SECRET_BYTES)}'",
        "ALTER TABLE sessions ADD COLUMN task TEXT",
        "ALTER TABLE sessions ADD COLUMN expires_at BIGINT",
        # Version 1 had no forks: nobody has inherited anything.
        "ALTER TABLE sessions ADD COLUMN inherited_prompt_tokens BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE sessions ADD COLUMN inherited_completion_tokens BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE sessions ADD COLUMN inherited_total_tokens BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE sessions ADD COLUMN inherited_cache_read_tokens BIGINT",
        "ALTER TABLE sessions ADD COLUMN inherited_cache_write_tokens BIGINT",
        "ALTER TABLE sessions ADD COLUMN inherited_cost_usd TEXT NOT NULL DEFAULT '0'",
        "ALTER TABLE sessions ADD COLUMN budget TEXT",
        "ALTER TABLE sessions ADD COLUMN workspace_node TEXT",
        "CREATE INDEX sessions_expires ON sessions (expires_at) WHERE expires_at IS NOT NULL",
        # Without the digest, SQLite preferred to look through all references of the tenant.
        "DROP INDEX blob_refs_journal",
        "CREATE INDEX blob_refs_journal ON blob_refs (tenant, journal_id, digest)",
        "CREATE TABLE erased (tenant TEXT NOT NULL, journal_id TEXT NOT NULL, PRIMARY KEY (tenant, journal_id))",
        "CREATE TABLE mcp_servers (tenant TEXT NOT NULL, journal_id TEXT NOT NULL, name TEXT NOT NULL, "
        "body BLOB NOT NULL, PRIMARY KEY (tenant, journal_id, name))",
        "CREATE TABLE lineage (tenant TEXT NOT NULL, journal_id TEXT NOT NULL, upto_seq BIGINT NOT NULL, "
        "source_journal_id TEXT NOT NULL, PRIMARY KEY (tenant, journal_id, upto_seq))",
        "CREATE INDEX lineage_source ON lineage (tenant, source_journal_id, upto_seq)",
        "DELETE FROM blobs WHERE NOT EXISTS "
        "(SELECT 1 FROM blob_refs r WHERE r.tenant = blobs.tenant AND r.digest = blobs.digest)",
        "ALTER TABLE actions ADD COLUMN kind TEXT",
        "UPDATE actions SET kind = json_extract(CAST(body AS TEXT), '$.kind')",
        "DROP TABLE outbox",
        "CREATE TABLE outbox (tenant TEXT NOT NULL, journal_id TEXT NOT NULL, seq BIGINT NOT NULL, "
        "target_journal_id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, journal_id, seq))",
        "CREATE INDEX outbox_receiver ON outbox (tenant, target_journal_id, journal_id, seq)",
        "CREATE INDEX records_spending ON records (tenant, at) "
        "WHERE type IN ('model.call.completed', 'model.call.failed')",
        "ALTER TABLE effect_results RENAME TO effect_outcomes",
        "CREATE TABLE effect_results (tenant TEXT NOT NULL, journal_id TEXT NOT NULL, call_id TEXT NOT NULL, "
        "attempt BIGINT NOT NULL, outcome BLOB, facts BLOB, PRIMARY KEY (tenant, journal_id, call_id, attempt))",
        "INSERT INTO effect_results (tenant, journal_id, call_id, attempt, outcome) "
        "SELECT tenant, journal_id, call_id, attempt, outcome FROM effect_outcomes",
        "DROP TABLE effect_outcomes",
    ):
        connection.execute(text(statement))


MIGRATIONS: Final[Mapping[int, Step]] = {2: _to_2}
"""The step that leads to each version; version 1 is the first release's and needs none."""


def establish(connection: Connection) -> tuple[str, str]:
    """Make the schema in an empty database, or bring an older one up to date; the store's id, and its secret.

    Raises:
        SnapshotTooNew: A newer release wrote it.
    """
    if not inspect(connection).has_table(META.name):
        _make(connection)
    else:
        upgrade(connection, connection.execute(select(META.c.schema_version)).scalar_one())
    store_id, secret = connection.execute(select(META.c.store_id, META.c.secret)).one()
    return store_id, secret


def upgrade(
    connection: Connection, found: int, known: int = SCHEMA_VERSION, steps: Mapping[int, Step] = MIGRATIONS
) -> None:
    """Take the steps from version ``found`` to ``known``.

    Raises:
        SnapshotTooNew: ``found`` is newer.
        InternalError: A step is missing.
    """
    if found > known:
        raise SnapshotTooNew(found, known)
    for version in range(found + 1, known + 1):
        if version not in steps:
            raise InternalError(f"no migration to schema version {version}")
        steps[version](connection)
    if found < known:
        connection.execute(update(META).values(schema_version=known))


def _make(connection: Connection) -> None:
    METADATA.create_all(connection)
    values = {
        "id": 1,
        "store_id": new_ulid(),
        "secret": secrets.token_hex(SECRET_BYTES),
        "schema_version": SCHEMA_VERSION,
        "term": 0,
        "created_at": micros(utc_now()),
    }
    connection.execute(insert(META).values(values))
