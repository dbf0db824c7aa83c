"""Boundary between the unit tests and Ray: they may neither import nor start it.

The import system refuses Ray while a unit test module is collected and while one of its tests runs. Where an earlier
module of the same process has imported Ray already, starting it is refused instead.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

_MESSAGE = "unit tests may not use Ray: move this test to tests/integration, or the code below the seam that hides Ray"


class RayInUnitTestError(AssertionError):
    """A unit test imported or started Ray. Not an ImportError, so that no `except ImportError` hides it."""


class _RefuseRay:
    """A finder that knows one thing: Ray is not to be had."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise for Ray and its submodules; leave every other module to the finders after this one."""
        if fullname.partition(".")[0] == "ray":
            raise RayInUnitTestError(f"{_MESSAGE} (import of {fullname!r})")
        return None


def _refuse_init(*args: object, **kwargs: object) -> None:
    raise RayInUnitTestError(f"{_MESSAGE} (ray.init)")


@contextmanager
def _ray_refused() -> Generator[None]:
    """Refuse Ray inside the block, and leave the import system as it was."""
    finder = _RefuseRay()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "meta_path", [finder, *sys.meta_path])
        loaded = sys.modules.get("ray")
        if loaded is not None:
            patch.setattr(loaded, "init", _refuse_init)
        yield


@pytest.fixture(autouse=True)
def refuse_ray() -> Iterator[None]:
    """Make importing and starting Ray an error in each unit test."""
    with _ray_refused():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Make importing Ray at the top of a unit test module an error of its collection."""
    with _ray_refused():
        return (yield)
