"""What running one call twice would mean: mostly its tool says so, for a shell line the line does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.domain.shell.line import judged
from actors.domain.shell.looking import only_looks
from actors.domain.tools import EffectClass, ToolDefinition


def effect_of(definition: ToolDefinition, args: Mapping[str, Any]) -> EffectClass:
    """The effect class of a call. It never grants permission."""
    if definition.effect is EffectClass.pure or _looks(definition, args):
        return EffectClass.pure
    return definition.effect


def _looks(definition: ToolDefinition, args: Mapping[str, Any]) -> bool:
    """Whether this call surely only reads, though others of its tool do more."""
    if any(args.get(name) in values for name, values in definition.looking.items()):
        return True
    line = None if definition.line_argument is None else args.get(definition.line_argument)
    return isinstance(line, str) and only_looks(judged(line))
