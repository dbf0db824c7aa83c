"""Answers in a form: the schema as providers take it, and whether an answer fits it.

Providers hold models to a part of JSON Schema only. ``held_to`` gives the schema within that part; what it leaves out
(bounds, patterns, lengths) is checked afterwards, here, for every provider alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from actors import json_schema
from actors.domain.calls import ModelCall, ModelOutcome, Outcome
from actors.domain.outputs import MAX_PROBLEM_CHARS, OutputFormat, parsed
from actors.errors import InvalidConfig

_PLAIN = ("type", "enum", "const", "description")
"""Keywords that both providers take as they are."""

_OPEN = frozenset(
    {"allOf", "not", "if", "patternProperties", "prefixItems", "dependentSchemas", "unevaluatedProperties"}
)
"""Keywords that neither can express."""


def checked(call: ModelCall, outcome: ModelOutcome) -> ModelOutcome:
    """The outcome with what is wrong with the form of its answer, if a form was asked for and this is an answer."""
    if call.output is None or outcome.outcome is not Outcome.ok or outcome.message is None:
        return outcome
    if outcome.message.tool_calls:
        return outcome
    problem = problem_of(call.output, outcome.message.text)
    return outcome if problem is None else outcome.model_copy(update={"output_problem": problem[:MAX_PROBLEM_CHARS]})


def problem_of(output: OutputFormat, text: str) -> str | None:
    """What is wrong with an answer, as half a sentence; None when it fits."""
    try:
        found = json_schema.problems(json_schema.validator(output.json_schema, "The schema is"), parsed(text))
    except InvalidConfig as error:
        return error.message
    except ValueError as error:
        return f"it is not JSON ({error})"
    return "; ".join(found) or None


def held_to(schema: Mapping[str, Any], *, all_required: bool) -> dict[str, Any] | None:
    """The schema that a provider can enforce in place of the given one; what it lacks is checked afterwards.

    Args:
        all_required: Every property is demanded, optional ones too, as OpenAI wants it.

    Returns:
        None when it cannot be expressed: the root is no object, an object has free keys, schemas are combined.
    """
    if "properties" not in schema:
        return None
    try:
        return _narrow(schema, all_required)
    except _NotExpressible:
        return None


class _NotExpressible(Exception):
    """A part of a schema that providers do not enforce."""


def _narrow(schema: Any, all_required: bool) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise _NotExpressible
    given = cast("dict[str, Any]", schema)
    if _OPEN & given.keys():
        raise _NotExpressible
    if "$ref" in given:
        return {"$ref": given["$ref"]}
    narrow = {key: given[key] for key in _PLAIN if key in given}
    arms = given.get("anyOf", given.get("oneOf"))
    if arms is not None:
        narrow["anyOf"] = [_narrow(arm, all_required) for arm in arms]
    if "items" in given:
        narrow["items"] = _narrow(given["items"], all_required)
    if "$defs" in given:
        narrow["$defs"] = {name: _narrow(inner, all_required) for name, inner in given["$defs"].items()}
    if given.get("type") == "object" or "properties" in given:
        narrow |= _object(given, all_required)
    elif not narrow.keys() & {"type", "enum", "const", "anyOf"}:
        raise _NotExpressible
    return narrow


def _object(given: Mapping[str, Any], all_required: bool) -> dict[str, Any]:
    properties = given.get("properties")
    if not properties or given.get("additionalProperties", False) is not False:
        raise _NotExpressible
    required = list(properties) if all_required else given.get("required", [])
    narrow = {name: _narrow(inner, all_required) for name, inner in properties.items()}
    return {"type": "object", "properties": narrow, "required": required, "additionalProperties": False}
