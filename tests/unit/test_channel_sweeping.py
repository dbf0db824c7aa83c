"""The sockets of servers that were killed do not stay."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.channel import remove_sockets, socket_directory, sweep_sockets
from actors.channel.sweeping import SETTLED_S


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """A socket that somebody serves."""
    path = tmp_path / "served.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def _abandoned(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def _aged(path: Path) -> Path:
    long_ago = path.stat().st_mtime - 2 * SETTLED_S
    os.utime(path, (long_ago, long_ago))
    return path


def test_a_socket_that_nobody_serves_any_more_is_removed(tmp_path: Path, served: Path) -> None:
    old = _aged(_abandoned(tmp_path / "old.sock"))
    about_to_listen = _abandoned(tmp_path / "new.sock")
    other = _aged(_abandoned(tmp_path / "other"))

    sweep_sockets(_aged(served).parent)

    assert set(tmp_path.iterdir()) == {served, about_to_listen, other}
    assert not old.exists()


def test_a_runtime_that_is_over_leaves_no_directory() -> None:
    directory = socket_directory("a")
    another = socket_directory("b")
    _abandoned(directory / "left.sock")

    remove_sockets("a")

    assert not directory.exists()
    assert another.exists()
