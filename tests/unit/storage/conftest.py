"""All backends behind one fixture: what a store promises does not depend on where it keeps things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.storage.backend import Backend
from actors.storage.open import open_backend
from tests.postgres import HAS_DRIVER, PostgresServer, postgres

__all__ = ["postgres"]

collect_ignore = [] if HAS_DRIVER else ["test_postgres.py"]

BACKENDS = ("memory", "sqlite", "postgresql")


def url_of(kind: str, request: pytest.FixtureRequest, directory: Path) -> str:
    """The URL of a new store of a kind."""
    match kind:
        case "memory":
            return "memory:"
        case "sqlite":
            return f"sqlite:///{directory}/store/greenroom.db"
        case _:
            server: PostgresServer = request.getfixturevalue("postgres")
            return server.url(server.fresh())


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    opened = open_backend(url_of(request.param, request, tmp_path))
    yield opened
    opened.close()
