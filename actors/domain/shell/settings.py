"""Variables that a line may set without changing what its commands are."""

from __future__ import annotations

import re

from actors.domain.shell.script import Assignment

_HARMLESS = frozenset(
    "LANG LANGUAGE TZ CI NO_COLOR FORCE_COLOR CLICOLOR COLUMNS LINES TERM PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE "
    "RUST_BACKTRACE NODE_ENV DEBIAN_FRONTEND GIT_TERMINAL_PROMPT GIT_OPTIONAL_LOCKS CARGO_TERM_COLOR DEBUG "
    "VERBOSE".split()
)
_VALUE = re.compile(r"[A-Za-z0-9_.,:@+-]*")
_OWN = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = re.compile(r"npm_.*|.*_proxy|auto_resume|histchars")


def harmless_before(assignment: Assignment) -> bool:
    """Whether a variable given to one command leaves it what it is: a closed list, and values without a path."""
    value = assignment.value.text if assignment.value is not None else None
    named = assignment.name in _HARMLESS or assignment.name.startswith("LC_")
    return named and value is not None and bool(_VALUE.fullmatch(value))


def harmless_alone(assignment: Assignment) -> bool:
    """Whether a variable of the shell matters to nothing but the line: those that do have names in capitals."""
    return bool(_OWN.fullmatch(assignment.name)) and not _TAKEN.fullmatch(assignment.name)
