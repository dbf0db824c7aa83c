"""What the SDK would write to logs: what servers say and it does not understand, URLs, answers of token endpoints."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

_LOUD: Final = ("mcp", "httpx2")
_SHARED: Final = "client"
"""A logger of the SDK's whose name others may use too."""


def keep_quiet() -> None:
    """Have it write nothing: any of it may hold a secret. What has gone wrong is told by status and results."""
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger(_SHARED).addFilter(_is_of_others)


def _is_of_others(record: logging.LogRecord) -> bool:
    return "mcp" not in Path(record.pathname).parts
