"""How SQLite finds what is asked for: by an index that leads there, however many sessions there are."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from actors.storage.open import database_at
from actors.storage.sql import SqlBackend
from tests.unit.storage.samples import TENANT, born, journal


@pytest.mark.parametrize("wanted", [{}, {"pending": False}, {"action_id": "a"}, {"kind": "approval", "limit": 1}])
def test_actions_of_a_session_and_its_tree_are_found_by_their_sessions(tmp_path: Path, wanted: dict[str, Any]) -> None:
    backend = SqlBackend(database_at(str(tmp_path)))
    backend.open()
    with closing(backend):
        born(backend, "s")
        engine = backend._engine  # pyright: ignore[reportPrivateUsage] - the plans are the database's business
        assert engine is not None
        asked: list[tuple[str, Any]] = []
        event.listen(engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))

        for tree in (False, True):
            assert backend.actions(TENANT, journal_id=journal("s"), tree=tree, **wanted) == ((), None)

        steps: list[str] = []
        with engine.connect() as connection:
            for statement, values in [one for one in asked if "actions" in one[0]]:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                steps += [str(row[3]) for row in plan]
        of_actions = [step for step in steps if " actions " in step]
        assert len(of_actions) == 2
        assert all("tenant=? AND journal_id=?" in step for step in of_actions), of_actions
        assert any("sessions_parent (tenant=? AND parent_journal_id=?)" in step for step in steps), steps
