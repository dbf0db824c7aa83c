"""A fresh service for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.serving import Running, running


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """A service without keys, on ``scripted/prompt``, working in an empty directory."""
    with running(workspace=str(tmp_path)) as each:
        yield each


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same for tests that only read it: one for all of a module."""
    with running(workspace=str(tmp_path_factory.mktemp("workspace"))) as each:
        yield each
