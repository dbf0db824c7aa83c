"""What a store forgets, and what it must not."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import aclosing, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from actors.domain.ids import letter_id, utc_now
from actors.domain.journal import StoredResult
from actors.domain.retention import Retention
from actors.errors import SessionNotFound
from actors.storage.backend import Backend
from actors.storage.memory import MemoryBackend
from actors.storage.open import database_at, open_backend
from actors.storage.service import StoreService
from actors.storage.sql import SqlBackend
from actors.storage.verify import Verification
from tests.unit.storage.samples import TENANT, action, at, born, journal, new, outbox, part

HOUR = 3600.0
KEPT = Retention()
AN_HOUR = Retention(HOUR)


def of(*session_ids: str, tenant: str = TENANT) -> tuple[tuple[str, str], ...]:
    return tuple((tenant, journal(one)) for one in session_ids)


def use(backend: Backend, session_id: str, seconds: float, *, tenant: str = TENANT, **values: object) -> None:
    """The session's first append: at this time, and with these values in its row."""
    given = {"updated_at": at(seconds), "created_at": at(0), **values}
    backend.append([part(session_id, 1, tenant=tenant, row=given)])


# --- sessions whose time is over -----------------------------------------------------------------------------------


def test_sessions_are_kept_for_ever_unless_somebody_says_otherwise(backend: Backend) -> None:
    born(backend, "s")

    assert backend.expired(at(10**9), KEPT) == ()
    assert not backend.expire(TENANT, journal("s"), at(10**9), KEPT)


def test_the_default_counts_from_the_last_use(backend: Backend) -> None:
    born(backend, "old", "used")
    use(backend, "used", 10)

    assert backend.expired(at(HOUR - 1), AN_HOUR) == ()
    assert backend.expired(at(HOUR), AN_HOUR) == of("old")
    assert set(backend.expired(at(HOUR + 10), AN_HOUR)) == set(of("old", "used"))
    assert len(backend.expired(at(HOUR + 10), AN_HOUR, limit=1)) == 1


def test_a_tenant_may_keep_its_sessions_longer_or_shorter(backend: Backend) -> None:
    born(backend, "s")
    born(backend, "s", tenant="short")
    born(backend, "s", tenant="long")
    retention = Retention(HOUR, {"short": 60.0, "long": 10 * HOUR})

    assert backend.expired(at(60), retention) == of("s", tenant="short")
    assert set(backend.expired(at(HOUR), retention)) == {*of("s", tenant="short"), *of("s")}
    assert len(backend.expired(at(10 * HOUR), retention)) == 3
    assert backend.expired(at(10 * HOUR), Retention(None, {"short": 60.0})) == of("s", tenant="short")


def test_a_sessions_own_time_goes_before_any_default(backend: Backend) -> None:
    born(backend, "soon", "late", "none")
    use(backend, "soon", 0, expires_at=at(60))
    use(backend, "late", 0, expires_at=at(10 * HOUR))

    assert backend.expired(at(59), KEPT) == ()
    assert backend.expired(at(60), KEPT) == of("soon")
    assert set(backend.expired(at(HOUR), AN_HOUR)) == set(of("soon", "none"))
    assert backend.expire(TENANT, journal("soon"), at(60), KEPT)
    assert not backend.expire(TENANT, journal("late"), at(HOUR), AN_HOUR)
    assert backend.row(TENANT, journal("soon")) is None


def open_turn(backend: Backend) -> None:
    use(backend, "s", 0, open_turn="turn-1", activity="requires_action")


def queued_input(backend: Backend) -> None:
    use(backend, "s", 0, queued=1)


def pending_action(backend: Backend) -> None:
    backend.append([part("s", 1, actions=(action("a"),))])


def sent_message(backend: Backend) -> None:
    backend.append([part("s", 1, outbox=(outbox(2),))])


def waiting_message(backend: Backend) -> None:
    born(backend, "sender")
    row = outbox(2)
    backend.append([part("sender", 1, outbox=(type(row)(2, journal("s"), row.body),), row={"updated_at": at(10**6)})])


def owing_child(backend: Backend) -> None:
    child = new("child", parent_id="s", parent_journal_id=journal("s"), task="t", updated_at=at(10**6))
    backend.append([part("s", 1, creations=(child,))])


@pytest.mark.parametrize("keep", [open_turn, queued_input, pending_action, sent_message, waiting_message, owing_child])
def test_a_session_with_something_to_do_is_kept_whatever_its_age(
    backend: Backend, keep: Callable[[Backend], None]
) -> None:
    born(backend, "s")
    assert backend.expired(at(HOUR), AN_HOUR) == of("s")

    keep(backend)

    assert not set(of("s")) & set(backend.expired(at(HOUR), AN_HOUR))
    assert not backend.expire(TENANT, journal("s"), at(HOUR), AN_HOUR)
    assert backend.row(TENANT, journal("s")) is not None


def test_a_session_that_is_used_before_it_is_destroyed_is_kept(backend: Backend) -> None:
    born(backend, "s")
    assert backend.expired(at(HOUR), AN_HOUR) == of("s")
    use(backend, "s", HOUR)

    assert not backend.expire(TENANT, journal("s"), at(HOUR), AN_HOUR)


def test_an_expired_session_leaves_nothing_and_its_id_is_free(backend: Backend) -> None:
    born(backend, "s", "other")
    blobs = {"aa": b"its own", "bb": b"shared"}
    backend.append([part("s", 1, blobs=blobs), part("other", 1, blobs={"bb": b"shared"})])
    backend.put_result(TENANT, journal("s"), StoredResult("call", 1, b"outcome"))

    assert backend.expire(TENANT, journal("s"), at(HOUR + 10), AN_HOUR)
    assert not backend.expire(TENANT, journal("s"), at(HOUR + 10), AN_HOUR)

    with pytest.raises(SessionNotFound):
        backend.records(TENANT, journal("s"))
    assert backend.results(TENANT, journal("s")) == ()
    assert backend.blobs(TENANT, ["aa", "bb"]) == {"bb": b"shared"}
    assert backend.create(TENANT, "again", "d", [new("s")])


def test_a_long_session_is_gone_at_once_and_its_rows_a_little_at_a_time(tmp_path: Path) -> None:
    with closing(open_backend(str(tmp_path))) as backend:
        born(backend, "long", "other")
        shared = {f"{number:02x}": b"content" for number in range(150)}
        for head in range(1, 3001, 100):
            backend.append([part("long", head, 100, blobs=shared if head == 1 else {}, command=f"c{head}")])
        backend.append([part("other", 1, blobs={"00": b"content"})])

        assert backend.destroy(TENANT, journal("long"), "d", "d")

        with pytest.raises(SessionNotFound):
            backend.records(TENANT, journal("long"))
        with pytest.raises(SessionNotFound):
            backend.acquire(TENANT, journal("long"), 0, 2)
        assert backend.find(TENANT, "long") is None
        assert backend.blobs(TENANT, ["00"]) != {}
        left = rows_of(tmp_path, journal("long"))
        assert 1000 < left < 3000, "some went with the session"
        while backend.purge(utc_now(), limit=100):
            assert left - 200 < (now_left := rows_of(tmp_path, journal("long"))) <= left
            left = now_left

        assert left == 0
        assert backend.blobs(TENANT, list(shared)) == {"00": b"content"}
        assert not [one for one in map(str, Verification(tmp_path)) if "belong to no session" in one]


def rows_of(directory: Path, journal_id: str) -> int:
    """Rows in which a journal is named."""
    with closing(sqlite3.connect(directory / "greenroom.db")) as connection:
        tables = ("records", "blob_refs", "sessions", "actions", "effect_results", "snapshots")
        counts = [f"(SELECT count(*) FROM {table} WHERE journal_id = ?)" for table in tables]
        (total,) = connection.execute(f"SELECT {' + '.join(counts)}", [journal_id] * len(tables)).fetchone()
        return total


async def test_readers_of_an_expired_session_are_told() -> None:
    async with StoreService(MemoryBackend()) as service, asyncio.timeout(10):
        await service.create(TENANT, "c", "d", [new("s"), new("kept", expires_at=at(10 * HOUR))])
        async with aclosing(service.follow(TENANT, journal("s"))) as following:
            assert [one.seq for one in await anext(following)] == [1]
            told = asyncio.create_task(anext(following))
            await asyncio.sleep(0)

            assert await service.expire(at(HOUR), AN_HOUR) == of("s")
            assert await service.expire(at(HOUR), AN_HOUR) == ()

            with pytest.raises(SessionNotFound):
                await told
        assert await service.find(TENANT, "kept") is not None


# --- what nothing refers to ----------------------------------------------------------------------------------------


def later(**of: float) -> datetime:
    return utc_now() + timedelta(**of)


def test_command_ids_are_kept_for_a_day_and_forgotten_a_little_at_a_time(backend: Backend) -> None:
    for number in range(5):
        backend.create(TENANT, f"c{number}", "d", [new(f"s{number}")])

    assert backend.purge(later(hours=23)) == 0
    assert [backend.purge(later(hours=25), limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert backend.create(TENANT, "c0", "other", [new("another")])


def test_a_command_that_came_with_a_message_is_known_for_as_long_as_the_message_may_come_again(
    backend: Backend,
) -> None:
    born(backend, "sender")
    backend.append([part("sender", 1, outbox=(outbox(2),))])
    cause = letter_id(journal("sender"), 2)
    backend.create(TENANT, cause, "d", [new("child")])

    backend.purge(later(hours=25))
    assert not backend.create(TENANT, cause, "d", [new("child")])

    backend.delivered([(TENANT, journal("sender"), 2)])
    assert backend.purge(later(hours=25)) == 1


def test_outcomes_that_nobody_asks_for_are_forgotten_a_month_after_the_last_use(backend: Backend) -> None:
    born(backend, "idle", "open")
    use(backend, "idle", 0)
    use(backend, "open", 0, open_turn="turn-1")
    for name in ("idle", "open"):
        backend.put_result(TENANT, journal(name), StoredResult("call", 1, b"outcome"))

    backend.purge(at(30 * 24 * HOUR - 1))
    assert len(backend.results(TENANT, journal("idle"))) == 1
    backend.purge(at(30 * 24 * HOUR + 1))

    assert backend.results(TENANT, journal("idle")) == ()
    assert len(backend.results(TENANT, journal("open"))) == 1


# --- without looking at everything ---------------------------------------------------------------------------------


def test_no_question_about_what_is_over_looks_at_every_session_or_blob(tmp_path: Path) -> None:
    backend = SqlBackend(database_at(str(tmp_path)))
    backend.open()
    with closing(backend):
        born(backend, "s")
        engine = backend._engine  # pyright: ignore[reportPrivateUsage] - the plans are the database's business
        assert engine is not None
        asked: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))

        assert backend.expired(at(HOUR), AN_HOUR) == of("s")
        assert backend.expire(TENANT, journal("s"), at(HOUR), AN_HOUR)
        backend.purge(later(hours=25))

        with engine.connect() as connection:
            for statement, values in [one for one in asked if one[0].startswith(("SELECT", "DELETE", "UPDATE"))]:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                for step in [str(row[3]) for row in plan]:
                    assert "TEMP B-TREE" not in step, statement
                    assert not step.startswith("SCAN") or step.split()[1] in {"erased", "effect_results", "meta"}, step
                    assert "SEARCH child" not in step or "parent_journal_id=?" in step, step
                    assert "blob_refs" not in step or "journal_id=?" in step or "digest=?" in step, step
