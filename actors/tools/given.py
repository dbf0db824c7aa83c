"""Tools as users give them to a runtime: functions made by ``@tool``, plain functions, or import strings."""

from __future__ import annotations

import inspect
from typing import Any

from actors.errors import InvalidConfig
from actors.tools.base import Tool
from actors.tools.function import load_tool, tool


def as_tool(given: Any) -> Tool:
    """The tool that was given.

    Raises:
        InvalidConfig: it is none, or cannot be imported.
    """
    if isinstance(given, str):
        return load_tool(given)
    if isinstance(given, Tool):
        return given
    if inspect.isfunction(given):
        return tool(given)
    raise InvalidConfig(f"{given!r} is no tool: give a function, or its import string package.module:name.")
