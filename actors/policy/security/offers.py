"""What a model is told of tools whose descriptions give it orders: they stand in front of every call of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from actors.domain.security import OnInjection
from actors.domain.tools import ToolDefinition
from actors.policy.security.injections import injections
from actors.policy.security.results import blocked, marked

READ: Final = frozenset({"title", "description"})
"""Of a schema: what is only read."""

SHOWN: Final = READ | {"default"}
"""Of a schema or a form: what is not its structure, and may be anything its author has at hand."""


def reworded(schema: Any, change: Callable[[str], str | None], words: frozenset[str], *, among: bool = False) -> Any:
    """A schema with other words where it is only read; None leaves out a member. ``among``: what is given are words."""
    if isinstance(schema, str):
        return change(schema) if among else schema
    if isinstance(schema, list):
        items = cast("list[Any]", schema)
        said = [reworded(one, change, words, among=among) for one in items]
        return [one if new is None else new for one, new in zip(items, said, strict=True)]
    if not isinstance(schema, dict):
        return schema
    members = cast("dict[str, Any]", schema)
    found = {name: reworded(value, change, words, among=name in words) for name, value in members.items()}
    return {name: new for name, new in found.items() if new is not None or members[name] is None}


def orders_in(definition: ToolDefinition) -> tuple[str, ...]:
    """What kinds of orders there are in all that is said of a tool."""
    said = [definition.description]
    reworded(definition.parameters, lambda text: said.append(text), READ)
    return injections("\n".join(said))


def offered(tools: Iterable[ToolDefinition], how: OnInjection) -> tuple[ToolDefinition, ...]:
    """Tools as a model is told of them."""
    return tuple(_treated(one, how) if one.orders else one for one in tools)


def _treated(tool: ToolDefinition, how: OnInjection) -> ToolDefinition:
    """Marked or withheld; nobody is asked before each call of a model. What arguments are called says enough then."""
    block = how is OnInjection.block
    description = blocked(tool.orders) if block else str(marked(tool.description, tool.orders))
    parameters = reworded(tool.parameters, lambda _: None, READ)
    return tool.model_copy(update={"description": description, "parameters": parameters})
