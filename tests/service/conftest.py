"""One service for all tests of this directory: starting Ray, Ray Serve and the actors is most of what they cost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service.started import Service, started


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that runs."""
    with started(tmp_path_factory.mktemp("serve")) as each:
        yield each
