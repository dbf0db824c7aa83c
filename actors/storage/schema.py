"""The boundary between stored values and tables: one schema for SQLite and PostgreSQL.

Every key begins with the tenant. Moments are microseconds since 1970 (``moments``), flags are 0 and 1, and conditions
of partial indexes are literal text, so that both databases recognise them in queries. There are no foreign keys: one
writer changes all tables of a session in one transaction, and checking each row again would cost every append.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.dialects import postgresql

METADATA: Final = MetaData()

_TEXT: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Ids sort by their characters' numbers in every database, whatever language its server speaks."""


def _text(name: str, *, null: bool = False, key: bool = False) -> Column[str]:
    return Column(name, _TEXT, nullable=null, primary_key=key)


def _big(name: str, *, null: bool = False, key: bool = False) -> Column[int]:
    # No table counts its keys by itself; SQLite would offer to, for a single integer key.
    return Column(name, BigInteger, nullable=null, primary_key=key, autoincrement=False)


def _small(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False)


def _bytes(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


META: Final = Table(
    "meta",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _text("store_id"),
    _text("secret"),
    Column("schema_version", Integer, nullable=False),
    _big("term"),
    _big("created_at"),
)
"""One row, id 1: who the store is, its secret, and the last registry's term."""

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
    _text("session_id"),
    _text("session_key"),
    _text("name"),
    _text("name_key"),
    _text("state"),
    _text("activity"),
    _text("model", null=True),
    _text("parent_id", null=True),
    _text("parent_journal_id", null=True),
    _text("root_journal_id", null=True),
    _big("head_seq"),
    _big("epoch"),
    _big("term"),
    _big("assignment_no"),
    _text("batch_id", null=True),
    _big("batch_from"),
    _text("open_turn", null=True),
    _big("queued"),
    _big("messages"),
    _big("turns"),
    _big("prompt_tokens"),
    _big("completion_tokens"),
    _big("total_tokens"),
    _big("cache_read_tokens", null=True),
    _big("cache_write_tokens", null=True),
    _text("cost_usd"),
    _big("inherited_prompt_tokens"),
    _big("inherited_completion_tokens"),
    _big("inherited_total_tokens"),
    _big("inherited_cache_read_tokens", null=True),
    _big("inherited_cache_write_tokens", null=True),
    _text("inherited_cost_usd"),
    _text("budget", null=True),
    _text("workspace_node", null=True),
    _text("task", null=True),
    _small("needs_actor"),
    _big("wake_at", null=True),
    _big("expires_at", null=True),
    _big("created_at"),
    _big("updated_at"),
)
"""The projection of each journal, with its head, its fence, and its last batch, which a retry is known by."""

RECORDS: Final = Table(
    "records",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
    _big("seq", key=True),
    _text("type"),
    _big("at"),
    _big("epoch"),
    _text("cause", null=True),
    _text("digest", null=True),
    _bytes("body"),
)
"""The journals. A record with a digest is the first one that its cause, a command, led to."""

LINEAGE: Final = Table(
    "lineage",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
    _big("upto_seq", key=True),
    _text("source_journal_id"),
)
"""Of forks: whose records their journals begin with, those behind the row before up to ``upto_seq``. The records, and
references of blobs, of a session that was destroyed stay while a row here names it."""

ACTIONS: Final = Table(
    "actions",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
    _text("action_id", key=True),
    _small("pending"),
    _big("requested_at"),
    _bytes("body"),
    _text("kind", null=True),
)
"""What sessions wait for; the body is the action's JSON form."""

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
    _big("seq", key=True),
    _text("target_journal_id"),
    _bytes("body"),
)
"""Messages between sessions that were not delivered yet, by sender and place. They outlive their sender; what a
receiver has applied is the cause of its records."""

BLOBS: Final = Table(
    "blobs",
    METADATA,
    _text("tenant", key=True),
    _text("digest", key=True),
    _bytes("body"),
)
"""Large content by its digest."""

BLOB_REFS: Final = Table(
    "blob_refs",
    METADATA,
    _text("tenant", key=True),
    _text("digest", key=True),
    _text("journal_id", key=True),
)
"""Which journals brought a blob; one that no journal holds is purged."""

RESULTS: Final = Table(
    "effect_results",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
    _text("call_id", key=True),
    _big("attempt", key=True),
    _bytes("outcome", null=True),
    _bytes("facts", null=True),
)
"""What hosts wrote down of attempts: outcomes that nobody fetched, and what tools recorded before they took effect."""

SNAPSHOTS: Final = Table(
    "snapshots",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
    _big("seq", key=True),
    _big("version"),
    _big("epoch"),
    _bytes("body"),
)
"""The newest fold of each journal."""

COMMANDS: Final = Table(
    "commands",
    METADATA,
    _text("tenant", key=True),
    _text("command_id", key=True),
    _text("digest"),
    _small("outcome"),
    _big("at"),
)
"""What create and destroy were told, and answered, in the last day."""

MCP_SERVERS: Final = Table(
    "mcp_servers",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
    _text("name", key=True),
    _bytes("body"),
)
"""MCP servers without their secrets; of those that all sessions of the tenant share, ``journal_id`` is empty."""

ERASED: Final = Table(
    "erased",
    METADATA,
    _text("tenant", key=True),
    _text("journal_id", key=True),
)
"""Journals of destroyed sessions whose records are so many that they are removed a little at a time."""

NEEDS_ACTOR: Final[ColumnElement[bool]] = literal_column("needs_actor = 1")
HAS_TIMER: Final[ColumnElement[bool]] = literal_column("wake_at IS NOT NULL")
EXPIRES: Final[ColumnElement[bool]] = literal_column("expires_at IS NOT NULL")
HAS_PARENT: Final[ColumnElement[bool]] = literal_column("parent_journal_id IS NOT NULL")
CLAIMED: Final[ColumnElement[bool]] = literal_column("digest IS NOT NULL")
PENDING: Final[ColumnElement[bool]] = literal_column("pending = 1")
SPENDS: Final[ColumnElement[bool]] = literal_column("type IN ('model.call.completed', 'model.call.failed')")


def _partial(name: str, where: ColumnElement[bool], *columns: Column[str] | Column[int], unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


_S = SESSIONS.c
Index("sessions_key", _S.tenant, _S.session_key, unique=True)
Index("sessions_updated", _S.tenant, _S.updated_at, _S.journal_id)
_partial("sessions_parent", HAS_PARENT, _S.tenant, _S.parent_journal_id)
_partial("sessions_needs_actor", NEEDS_ACTOR, _S.updated_at)
_partial("sessions_wake", HAS_TIMER, _S.wake_at)
_partial("sessions_expires", EXPIRES, _S.expires_at)
_partial("records_cause", CLAIMED, RECORDS.c.tenant, RECORDS.c.journal_id, RECORDS.c.cause, unique=True)
_partial("records_spending", SPENDS, RECORDS.c.tenant, RECORDS.c.at)
_partial("actions_pending", PENDING, ACTIONS.c.tenant, ACTIONS.c.requested_at, ACTIONS.c.action_id)
Index("outbox_receiver", OUTBOX.c.tenant, OUTBOX.c.target_journal_id, OUTBOX.c.journal_id, OUTBOX.c.seq)
Index("blob_refs_journal", BLOB_REFS.c.tenant, BLOB_REFS.c.journal_id, BLOB_REFS.c.digest)
Index("lineage_source", LINEAGE.c.tenant, LINEAGE.c.source_journal_id, LINEAGE.c.upto_seq)
Index("commands_at", COMMANDS.c.at)

BELONGINGS: Final[tuple[Table, ...]] = (RECORDS, LINEAGE, ACTIONS, BLOB_REFS, RESULTS, SNAPSHOTS)
"""The tables that a session's destruction clears beside its own row."""
