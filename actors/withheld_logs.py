"""What a process of Greenroom logs has no keys, tokens or passwords in it, whoever says so and in what error.

Texts of users get into logs where nobody meant it: in the sentence of an exception, in what a library says of a message
that it cannot read. So every line is gone through, of whatever logger, before any handler gets it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from actors.domain.security import Secret, SecurityConfig
from actors.policy.security.guard import Guard
from actors.policy.security.redaction import Known

_SECRET: Final = SecurityConfig(kinds=tuple(kind for kind in Secret if not kind.personal))
_MAX_CHARS: Final = 64 * 1024
"""Of one line: what comes behind is left out."""

_formatter = logging.Formatter()


def withhold_in_logs(known: Callable[[], Known]) -> None:
    """Take out of every line of this process what looks like a secret, and what ``known`` finds."""
    former = logging.getLogRecordFactory()

    def made(*args: Any, **values: Any) -> logging.LogRecord:
        record = former(*args, **values)
        guard = Guard(_SECRET, known())
        record.msg, record.args = guard.text(_said(record)[:_MAX_CHARS]), ()
        if record.exc_info:
            # Handlers take the text that is there for that of the exception.
            record.exc_text = guard.text(_formatter.formatException(record.exc_info)[-_MAX_CHARS:])
            record.exc_info = None
        return record

    logging.setLogRecordFactory(made)


def _said(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return str(record.msg)
