"""What a decision about one call means for later ones, when it is to be remembered: the permission rule it becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from actors.domain.actions import Remember
from actors.domain.permission_calls import call_of
from actors.domain.permissions import PermissionDecision, PermissionPolicy

MAX_RULE = 1024
"""Characters of a rule."""

_WILD = re.compile(r"[*?]|:\*$")
_SUBCOMMAND = re.compile(r"[A-Za-z][\w-]*")


def remembered(tool: str, args: Mapping[str, Any], how: Remember, *, workspace: str) -> str | None:
    """The text of the rule; None when the call cannot be put into one.

    ``session`` is this very call and no other. ``rule`` is its kind: of a shell line that is one plain command, the
    program with its subcommand; of other tools, the tool.
    """
    wanted = _kind(tool, args, workspace) if how is Remember.rule else _exactly(tool, args, workspace)
    for text in wanted:
        if len(text) <= MAX_RULE and _covers(text, tool, args, workspace):
            return text
    return None


def _covers(text: str, tool: str, args: Mapping[str, Any], workspace: str) -> bool:
    try:
        policy = PermissionPolicy(allow=[text])
    except ValueError:
        return False
    return policy.check(tool, args, workspace=workspace) is PermissionDecision.allow


def _exactly(tool: str, args: Mapping[str, Any], workspace: str) -> list[str]:
    call = call_of(tool, args, workspace)
    subjects = [call.line] if call.line is not None else [text for part in call.parts for text in part.surely]
    return [f"{call.tool}({subject})" for subject in subjects if not _WILD.search(subject)]


def _kind(tool: str, args: Mapping[str, Any], workspace: str) -> list[str]:
    call = call_of(tool, args, workspace)
    if call.line is None:
        return [call.tool]
    words = (call.parts[0].words or ()) if len(call.parts) == 1 else ()
    program, second = (*words[:2], None, None)[:2]
    if program is None:
        return _exactly(tool, args, workspace)
    if second is not None and _SUBCOMMAND.fullmatch(second):
        program = f"{program} {second}"
    return [f"{call.tool}({program}:*)"]
