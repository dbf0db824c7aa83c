"""Both backends behind one fixture: what a store promises does not depend on where it keeps things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.storage.backend import Backend
from actors.storage.open import open_backend


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    url = "memory:" if request.param == "memory" else str(tmp_path / "store")
    opened = open_backend(url)
    yield opened
    opened.close()
