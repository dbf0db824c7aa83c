"""Boundary between what a model wrote as arguments and what a tool gets: validation by JSON Schema, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema.protocols import Validator

from actors import json_schema
from actors.errors import ToolError


def validator(parameters: Mapping[str, Any]) -> Validator:
    """A validator for a tool's parameters.

    Raises:
        InvalidConfig: They are not a valid JSON Schema.
    """
    return json_schema.validator(parameters, "The tool's parameters are")


def check(checked: Validator, tool: str, args: Mapping[str, Any]) -> None:
    """Return when the arguments fit.

    Raises:
        ToolError: They do not; the sentence names the parameters.
    """
    found = json_schema.problems(checked, dict(args))
    if found:
        raise ToolError(f"Invalid arguments for {tool}: {'; '.join(found)}.")
