"""What a policy decides, and the moods it can be in: how it answers where its rules leave a question open."""

from __future__ import annotations

from enum import StrEnum

from actors.domain.permission_rules import Subject

_READERS = frozenset({"read", "ls", "glob", "grep"})
_EDITORS = frozenset({"write", "edit", "patch"})


class PermissionDecision(StrEnum):
    """What a permission policy says of a call."""

    allow = "allow"
    deny = "deny"
    ask = "ask"


class PermissionMode(StrEnum):
    """How a policy is meant at the moment. Deny rules bind in every mode."""

    default = "default"
    """As the rules say."""
    accept_edits = "accept_edits"
    """What only the default would ask is allowed for files in the workspace, outside of ``.git``."""
    plan = "plan"
    """Only looking: read, ls, glob and grep by the rules, everything else is denied."""
    bypass = "bypass"
    """Everything is allowed but what a rule denies."""
    dont_ask = "dont_ask"
    """Nobody is there to ask: what would be asked is denied."""


def only_looks(subject: Subject) -> bool:
    """Whether the call reads files and does nothing else."""
    return subject.tool in _READERS


def edits_workspace(subject: Subject) -> bool:
    """Whether the call changes a file that surely is in the workspace, and is not git's own."""
    return subject.tool in _EDITORS and any(_inside(path) for path in subject.surely)


def _inside(path: str) -> bool:
    parts = path.lower().split("/")
    return parts[0] not in {"", ".", ".."} and not parts[0].startswith("~") and ".git" not in parts
