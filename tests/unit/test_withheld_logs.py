"""No line of a log has a secret in it, whoever logs and in what error."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from actors.policy.security.redaction import Known
from actors.withheld_logs import withhold_in_logs

KEY = "sk-1234567890CANARYghijklmnop"
KNOWN = "a value that only this process knows"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    former = logging.getLogRecordFactory()
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    library = logging.getLogger("of.a.library")
    library.addHandler(handler)
    withhold_in_logs(lambda: Known([KNOWN]))
    yield written
    logging.setLogRecordFactory(former)
    library.removeHandler(handler)


def test_what_looks_like_a_secret_or_is_known_is_in_no_line_and_no_traceback(lines: io.StringIO) -> None:
    log = logging.getLogger("of.a.library")
    log.error("cannot read %r of %s, 100%%", {"key": KEY}, KNOWN)
    try:
        raise ValueError(f"{KEY} is not {KNOWN}")
    except ValueError:
        log.exception("it broke")
    log.error("%s and %s", KEY)

    written = lines.getvalue()
    assert KEY not in written
    assert KNOWN not in written
    assert "cannot read {'key': '[REDACTED:API_KEY]'} of [REDACTED:SECRET], 100%" in written
    assert "Traceback" in written
    assert "ValueError: [REDACTED:API_KEY] is not [REDACTED:SECRET]" in written
