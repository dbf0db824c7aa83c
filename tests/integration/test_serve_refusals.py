"""``greenroom serve`` on a store it cannot use: one sentence, that of Python, and nothing stays behind."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from actors import SessionManager, Settings, SyncSessionManager, errors
from actors.cluster.links import actor_names
from serve_app.cli import app
from tests.integration.runtimes import MODEL, runtime_name
from tests.integration.unusable import DAMAGED, UNUSABLE, make_unusable


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(directory: Path, runtime: str) -> Result:
    arguments = ["serve", "--port", str(_free_port()), "--data-dir", str(directory), "--model", MODEL]
    environment = {"GREENROOM_RUNTIME": runtime, "COLUMNS": "1000", "NO_COLOR": "1"}
    return CliRunner().invoke(app, arguments, env=environment)


def _sentence(result: Result) -> str:
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), "a traceback"
    return result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(("how", "kind"), UNUSABLE)
def test_an_unusable_store_is_refused_and_nothing_stays(
    cluster: None, tmp_path: Path, how: str, kind: type[errors.StoreError]
) -> None:
    directory = tmp_path / "store"
    make_unusable(directory, how)
    name = runtime_name()

    said = _sentence(_serve(directory, name))

    assert str(directory) in said
    assert actor_names(f"{name}.") == []
    if how == "damaged":
        assert (directory / "greenroom.db").read_bytes() == DAMAGED
        _assert_refused_in_python(directory, kind, said)


def _assert_refused_in_python(directory: Path, kind: type[errors.StoreError], said: str) -> None:
    async def start() -> None:
        await SessionManager.with_persistence(MODEL, directory, settings=Settings(runtime=runtime_name()))

    with pytest.raises(kind) as refused:
        asyncio.run(start())
    assert said == f"Error: {refused.value.message}"


def test_a_store_in_use_is_refused_and_names_the_way_to_join_it(cluster: None, tmp_path: Path) -> None:
    directory = tmp_path / "store"
    name = runtime_name()

    with SyncSessionManager.local(MODEL, store=f"sqlite:///{directory / 'greenroom.db'}"):
        said = _sentence(_serve(directory, name))

    assert "in use" in said
    assert "SessionManager.connect()" in said
    assert actor_names(f"{name}.") == []
