"""What models took, as every backend and the wire tell it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from actors.domain.journal import Appended, StoredRecord
from actors.domain.usage import Spent
from actors.storage.backend import Backend
from actors.storage.handlers import store_handlers
from actors.storage.open import database_at
from actors.storage.remote import RemoteStore
from actors.storage.service import StoreService
from actors.storage.sql import SqlBackend
from tests.unit.storage.loopback import Loopback
from tests.unit.storage.samples import START, TENANT, at, born, journal, part

DAY = timedelta(days=1)


def call(
    seq: int, *, kind: str = "completed", days: int = 0, tokens: int = 10, cost: str | None = None
) -> StoredRecord:
    usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens, "cache_read_tokens": 1}
    data = {"usage": usage, "cost_usd": cost, "provider": "openai", "model": "gpt", "message": {"content": []}}
    body = json.dumps({"seq": seq, "data": data}).encode()
    return StoredRecord(seq, f"model.call.{kind}", at(seq) + days * DAY, 1, body)


def _write(backend: Backend, session_id: str, *records: StoredRecord, tenant: str = TENANT) -> None:
    made = replace(part(session_id, 1, len(records), tenant=tenant), records=records)
    assert backend.append([made]) == [Appended(len(records) + 1)]


def test_model_calls_are_added_up_by_day_and_model_within_bounds(backend: Backend) -> None:
    born(backend, "s", "t")
    _write(
        backend,
        "s",
        call(2, cost="0.10"),
        call(3, cost="0.20"),
        call(4, days=1),
        call(5, kind="failed", tokens=0),
        call(6, kind="failed", days=1, tokens=5),
    )
    _write(backend, "t", call(2, days=2))

    first, second = backend.spent(TENANT, journal_id=journal("s"))
    assert (first.day, first.model, first.spent.cost_usd) == (START.date(), "openai/gpt", "0.30")
    assert (first.spent.calls, first.spent.unpriced_calls, first.spent.usage.cache_read_tokens) == (2, 0, 2)
    assert (second.spent.calls, second.spent.unpriced_calls, second.spent.usage.total_tokens) == (2, 2, 15)
    assert len(backend.spent(TENANT)) == 3
    midnight = START.replace(hour=0, minute=0, second=0, microsecond=0)
    assert backend.spent(TENANT, since=midnight + DAY, until=midnight + 2 * DAY) == (second,)


def test_another_tenants_and_destroyed_sessions_are_not_counted(backend: Backend) -> None:
    born(backend, "s")
    born(backend, "s", tenant="other")
    _write(backend, "s", call(2))
    _write(backend, "s", call(2), tenant="other")

    assert [row.spent.calls for row in backend.spent(TENANT)] == [1]
    assert backend.destroy(TENANT, journal("s"), "gone", "d")
    assert backend.spent(TENANT) == ()


async def test_it_comes_over_the_wire_as_it_is(backend: Backend) -> None:
    born(backend, "s")
    _write(backend, "s", call(2, cost="0.1"))
    async with StoreService(backend) as service:
        remote = RemoteStore(Loopback(store_handlers(service)))

        (row,) = await remote.spent(TENANT, journal_id=journal("s"), since=START, until=START + DAY)
        assert isinstance(row.spent, Spent)
        assert (row,) == await service.spent(TENANT)


def test_a_span_of_days_is_found_without_looking_at_other_records(tmp_path: Path) -> None:
    backend = SqlBackend(database_at(str(tmp_path)))
    backend.open()
    with closing(backend):
        born(backend, "s")
        engine = backend._engine  # pyright: ignore[reportPrivateUsage] - the plans are the database's business
        assert engine is not None
        asked: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
        assert backend.spent(TENANT, since=START, until=START + DAY) == ()

        with engine.connect() as connection:
            plan = [
                str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[-1][0]}", asked[-1][1])
            ]
        assert any("records_spending (tenant=? AND at>? AND at<?)" in step for step in plan), plan
