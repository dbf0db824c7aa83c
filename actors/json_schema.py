"""Boundary between JSON Schema and its users: validation of values, and what is wrong with them in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from actors.errors import InvalidConfig

_SHOWN = 200
"""Characters of a wrong value that are repeated."""

_MAX_PROBLEMS = 5


def validator(schema: Mapping[str, Any], what: str) -> Validator:
    """A validator for values. It fetches nothing: what a schema refers to outside of itself cannot be resolved.

    Raises:
        InvalidConfig: ``what`` is not a valid JSON Schema.
    """
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidConfig(f"{what} not a valid JSON Schema: {error.message[:_SHOWN]}") from error
    return cast("Validator", Draft202012Validator(dict(schema), registry=Registry()))


def problems(checked: Validator, value: Any) -> list[str]:
    """What is wrong with a value, as half sentences, at most five; empty when it fits."""
    try:
        return sorted(_sentence(error) for error in checked.iter_errors(value))[:_MAX_PROBLEMS]
    except Unresolvable as error:
        return [f"its schema refers to {error.ref[:_SHOWN]!r}, which is nowhere in it"]
    except RecursionError:
        return ["it is nested too deeply"]


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
