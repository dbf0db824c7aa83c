"""The directory of a model's socket goes with its process, however that ends."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from actors.llm.own_directory import OwnDirectory

ROOT = Path(__file__).resolve().parents[3]

OWNER = """
import sys
from actors.llm.own_directory import OwnDirectory
mine = OwnDirectory()
(mine.path / "llm.sock").touch()
print(mine.path, flush=True)
sys.stdin.read()
"""
"""A process that has a directory until it is killed."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_is_removed_with_what_is_in_it(temporary: Path) -> None:
    mine = OwnDirectory()
    (mine.path / "llm.sock").touch()
    assert mine.path.stat().st_mode & 0o777 == 0o700
    mine.remove()
    assert not list(temporary.iterdir())


def test_that_of_a_process_that_was_killed_is_removed_by_the_next_and_those_of_the_living_stay(
    temporary: Path,
) -> None:
    (temporary / "greenroom-model-file").touch()
    (temporary / "another").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        mine = OwnDirectory()
        assert {mine.path, theirs} < set(temporary.iterdir())
        other.kill()
    OwnDirectory()
    assert not theirs.exists()
    assert mine.path.exists() and (temporary / "another").exists()


def test_one_that_is_swept_away_while_it_is_made_is_made_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, make = list[str](), tempfile.mkdtemp

    def swept(prefix: str) -> str:
        made.append(make(prefix=prefix))
        if len(made) == 1:
            shutil.rmtree(made[0])
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    assert OwnDirectory().path == Path(made[1])
