"""Twenty-six faults under load break no promise: of a cluster of two nodes, and below an HTTP service."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.plan import FEW, FEW_OF_NODES, FEW_OVER_HTTP
from tests.chaos.report import Report
from tests.chaos.rounds import chaos_of_nodes, chaos_over_http


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_promise_is_broken_by_faults_under_load(tmp_path: Path) -> None:
    report = Report(FEW_OF_NODES)

    chaos_of_nodes(tmp_path, report, faults=FEW)

    assert report.violations == [], report.text()
    assert report.faults.total() == FEW
    assert report.turns > 0


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_promise_is_broken_by_faults_under_a_load_of_requests(tmp_path: Path) -> None:
    report = Report(FEW_OVER_HTTP)

    chaos_over_http(tmp_path, report, faults=FEW)

    assert report.violations == [], report.text()
    assert report.faults.total() == FEW
    assert report.turns > 0
