"""What a model is told of tools whose descriptions give it orders: they stand in front of every call of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from actors.domain.security import OnInjection
from actors.domain.tools import ToolDefinition
from actors.policy.security.injections import injections
from actors.policy.security.results import blocked, marked

_WORDS: Final = frozenset({"title", "description"})
"""Of a schema: what is only read."""


def reworded(schema: Any, change: Callable[[str], str | None], words: frozenset[str] = _WORDS) -> Any:
    """A schema with other words where it is only read; None leaves them out."""
    if isinstance(schema, list):
        return [reworded(one, change, words) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for name, value in cast("dict[str, Any]", schema).items():
        said = change(value) if name in words and isinstance(value, str) else reworded(value, change, words)
        if said is not None or value is None:
            found[name] = said
    return found


def orders_in(definition: ToolDefinition) -> tuple[str, ...]:
    """What kinds of orders there are in all that is said of a tool."""
    said = [definition.description]
    reworded(definition.parameters, lambda text: said.append(text))
    return injections("\n".join(said))


def offered(tools: Iterable[ToolDefinition], how: OnInjection) -> tuple[ToolDefinition, ...]:
    """Tools as a model is told of them."""
    return tuple(_treated(one, how) if one.orders else one for one in tools)


def _treated(tool: ToolDefinition, how: OnInjection) -> ToolDefinition:
    """Marked or withheld; nobody is asked before each call of a model. What arguments are called says enough then."""
    block = how is OnInjection.block
    description = blocked(tool.orders) if block else str(marked(tool.description, tool.orders))
    parameters = reworded(tool.parameters, lambda _: None)
    return tool.model_copy(update={"description": description, "parameters": parameters})
