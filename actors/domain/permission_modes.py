"""What a policy decides, and the moods it can be in: how it answers where its rules leave a question open."""

from __future__ import annotations

from enum import StrEnum

from actors.domain.permission_calls import EDITORS, Part


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
    """Only looking: read, ls, glob, grep, read_artifact, and bash lines that surely only read, by the rules; all else
    is denied."""
    bypass = "bypass"
    """Everything is allowed but what a rule denies."""
    dont_ask = "dont_ask"
    """Nobody is there to ask: what would be asked is denied."""


def edits_workspace(part: Part) -> bool:
    """Whether a file tool changes a file that surely is in the workspace, and is not git's own.

    What a shell line writes is not meant: a link may lead it out of the workspace, where the tools do not go.
    """
    return part.tool in EDITORS and not part.within and not part.changes_git and any(map(_inside, part.surely))


def _inside(path: str) -> bool:
    first, *_ = path.split("/")
    return first not in {"", ".", ".."} and not first.startswith("~")
