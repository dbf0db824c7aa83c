"""Twenty-five faults under load break no promise: one half with a process for each session, one with several in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.__main__ import chaos

SEED = 1
FAULTS = 25


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_promise_is_broken_by_faults_under_load(tmp_path: Path) -> None:
    report = chaos(tmp_path, seed=SEED, faults=FAULTS, most=13)

    assert report.violations == [], report.text()
    assert report.faults.total() == FAULTS
    assert report.turns > 0
