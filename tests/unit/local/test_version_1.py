"""A database that the first release wrote: it is led to this one's schema, and its sessions go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors.domain.session import Activity, SessionState
from actors.manager import SessionManager
from actors.storage.sqlite import FILE_NAME
from actors.storage.verify import Verification

GOLDEN = Path(__file__).parents[1] / "storage" / "golden" / "database-1.sql"
"""Turns with tools, a question, a child, a queue, large content, a kept outcome, a snapshot; written by version 1."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.executescript(GOLDEN.read_text(encoding="utf-8"))
    yield str(tmp_path)


def test_every_journal_folds_to_its_row_before_and_after_the_migration(store: str) -> None:
    for _ in range(2):
        verification = Verification(store)
        assert [str(finding) for finding in verification] == []
        assert (verification.sessions, verification.blobs) == (7, 1)


async def test_what_sessions_were_is_what_they_are(store: str) -> None:
    async with await SessionManager.local(store=store) as manager:
        rows = {row.session_id: row for row in (await manager.list_sessions()).items}
        assert {name: row.state for name, row in rows.items() if row.state is not SessionState.active} == {
            "paused": SessionState.paused,
            "failed": SessionState.error,
        }
        assert (rows["child"].parent_id, rows["child"].task) == ("tools", None)
        assert (await manager.history("large"))[0].text == "x" * 40_000
        assert [len(await manager.history(name)) for name in ("tools", "cleared")] == [8, 0]
        assert (await manager.get_session("cleared")).session_id == "cleared"


async def test_its_sessions_answer_and_its_open_turns_end(store: str) -> None:
    async with await SessionManager.local(store=store) as manager:
        assert (await manager.generate("tools", "once more")).text == "Done."
        assert (await manager.generate("child", "go")).text == "child"

        asks = await manager.get_session("asks")
        assert (await asks.info()).activity is Activity.requires_action
        (question,) = await asks.actions()
        await asks.resolve_action(question.action_id, "reject")
        assert (await asks.generate("go", command_id="go")).text == "Well."

        fork = await manager.fork_session("tools", "fork", at=5)
        assert (await fork.generate("and here")).text
    assert [str(finding) for finding in Verification(store)] == []
