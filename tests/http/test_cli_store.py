"""Backups at the terminal: commands that work on the database itself, without the service."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from typer.testing import CliRunner, Result

from actors.storage.open import open_backend
from serve_app.cli import app
from tests.unit.storage.a_store import fill


def _run(*arguments: str, **environment: str) -> Result:
    env = {"COLUMNS": "1000", "NO_COLOR": "1", **environment}
    return CliRunner().invoke(app, list(arguments), env=env)


def _ok(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def _refused(result: Result) -> str:
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), "a traceback"
    return result.stderr.strip()


def test_a_backup_is_made_verified_and_restored_elsewhere(tmp_path: Path) -> None:
    asyncio.run(fill(str(tmp_path / "store")))
    copy, new = str(tmp_path / "copy.db"), str(tmp_path / "new")
    with closing(open_backend(str(tmp_path / "store"))):
        made = _ok(_run("backup", copy, GREENROOM_DATA_DIR=str(tmp_path / "store")))
        assert "in use" in _refused(_run("restore", copy, "--data-dir", str(tmp_path / "store"), "--force"))
        assert "nothing wrong" in _ok(_run("verify", "--data-dir", str(tmp_path / "store")))
    assert "5 sessions" in made and copy in made
    assert "5 sessions" in _ok(_run("verify", copy))

    assert new in _ok(_run("restore", copy, "--data-dir", new))

    assert "nothing wrong" in _ok(_run("verify", GREENROOM_STORE_URL=f"sqlite:///{new}/greenroom.db"))
    assert "--force" in _refused(_run("restore", copy, "--data-dir", new))
    assert "is kept" in _ok(_run("restore", copy, "--data-dir", new, "--force"))


def test_what_is_wrong_is_said_line_by_line_and_is_no_success(tmp_path: Path) -> None:
    asyncio.run(fill(str(tmp_path)))
    with closing(sqlite3.connect(tmp_path / "greenroom.db")) as connection:
        connection.execute("UPDATE sessions SET turns = 99")
        connection.commit()

    result = _run("verify", str(tmp_path))

    assert result.exit_code == 1
    *findings, total = result.stdout.strip().splitlines()
    assert len(findings) == 5
    assert any("session talking of default" in one and "turns" in one for one in findings)
    assert total.endswith("5 wrong.")


def test_what_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    for command in (("verify", str(tmp_path)), ("backup", str(tmp_path / "x"), "--data-dir", str(tmp_path))):
        assert "no store" in _refused(_run(*command))
    assert "no store" in _refused(_run("restore", str(tmp_path / "x"), "--data-dir", str(tmp_path)))


def test_a_store_on_a_server_is_backed_up_with_the_servers_tools_and_its_password_is_not_repeated(
    tmp_path: Path,
) -> None:
    url = "postgresql://app:secret@127.0.0.1:1/greenroom"

    for command in ("backup", "restore"):
        said = _refused(_run(command, str(tmp_path / "copy.db"), GREENROOM_STORE_URL=url))
        assert "pg_dump" in said
    said += _refused(_run("verify", GREENROOM_STORE_URL=url))

    assert "cannot be reached" in said
    assert "secret" not in said


def test_a_store_that_cannot_be_is_refused_before_anything_is_started() -> None:
    for url in ("postgresql://app:secret@host:port/greenroom", "mysql://app:secret@host/greenroom"):
        said = _refused(_run("serve", "--port", "1", "--store", url))

        assert "postgresql://user@host/database" in said
        assert "secret" not in said
