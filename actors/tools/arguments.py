"""Boundary between what a model wrote as arguments and what a tool gets: validation by JSON Schema, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.protocols import Validator

from actors.errors import InvalidConfig, ToolError

_SHOWN = 200
"""Characters of a wrong value that are repeated to the model."""


def validator(parameters: Mapping[str, Any]) -> Validator:
    """A validator for a tool's parameters.

    Raises:
        InvalidConfig: They are not a valid JSON Schema.
    """
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise InvalidConfig(f"The tool's parameters are not a valid JSON Schema: {error.message[:_SHOWN]}") from error
    return cast("Validator", Draft202012Validator(dict(parameters)))


def check(checked: Validator, tool: str, args: Mapping[str, Any]) -> None:
    """Return when the arguments fit.

    Raises:
        ToolError: They do not; the sentence names the parameters.
    """
    found = [_sentence(error) for error in checked.iter_errors(dict(args))]
    if found:
        raise ToolError(f"Invalid arguments for {tool}: {'; '.join(sorted(found)[:5])}.")


def _sentence(error: ValidationError) -> str:
    kind = str(error.validator)
    where = ".".join(str(part) for part in error.absolute_path)
    if kind == "required":
        known = cast("Mapping[str, Any]", error.instance)
        missing = [name for name in cast("list[str]", error.validator_value) if name not in known]
        names = ", ".join(repr(f"{where}.{name}" if where else name) for name in missing)
        return f"missing required parameter {names}"
    if kind == "additionalProperties":
        return f"unknown parameter: {error.message[:_SHOWN]}"
    return f"parameter {where!r}: {error.message[:_SHOWN]}" if where else error.message[:_SHOWN]
