"""What the tests of other people's programs need: the programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ecosystem import npm


@pytest.fixture(scope="session")
def npm_packages() -> Path:
    """The directory of the packages; tests are skipped where they cannot be had."""
    try:
        return npm.installed()
    except npm.Unavailable as why:
        pytest.skip(str(why))
