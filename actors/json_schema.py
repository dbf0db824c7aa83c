"""Boundary between JSON Schema and its users: validation of values, and what is wrong with them in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final, cast

from jsonschema import Draft202012Validator, FormatChecker, SchemaError, ValidationError, validators
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from actors.errors import InvalidConfig
from actors.json_patterns import KEYWORDS, unknown_patterns

_SHOWN = 200
"""Characters of a wrong value that are repeated."""

_MAX_PROBLEMS = 5

MAX_REFERENCES: Final = 10_000
"""Followed while one value is looked at: thirty definitions that each refer to the next one twice are a billion."""

_NO_FORMATS = FormatChecker(())

_left: ContextVar[int] = ContextVar("greenroom_references_left", default=MAX_REFERENCES)


class _TooManyReferences(Exception):
    """A schema multiplies."""


def _counted(keyword: str) -> Any:
    follow: Any = Draft202012Validator.VALIDATORS[keyword]

    def counted(checked: Any, target: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        left = _left.get()
        if not left:
            raise _TooManyReferences
        _left.set(left - 1)
        yield from follow(checked, target, instance, schema)

    return counted


_REFERENCES: Final = {keyword: _counted(keyword) for keyword in ("$ref", "$dynamicRef")}

_Bounded: Any = validators.extend(Draft202012Validator, {**KEYWORDS, **_REFERENCES})


def validator(schema: Mapping[str, Any], what: str) -> Validator:
    """A validator for values. It fetches nothing: what a schema refers to outside of itself cannot be resolved.

    Raises:
        InvalidConfig: ``what`` is not a valid JSON Schema.
    """
    try:
        # Its patterns are not looked at by Python's engine, not even whether they are any.
        Draft202012Validator.check_schema(schema, format_checker=_NO_FORMATS)
    except SchemaError as error:
        raise InvalidConfig(f"{what} not a valid JSON Schema: {error.message[:_SHOWN]}") from error
    except RecursionError:
        raise InvalidConfig(f"{what} not a valid JSON Schema: it is nested too deeply") from None
    if _mixes(schema):
        raise InvalidConfig(f"{what} of no use: patternProperties and unevaluatedProperties cannot be used together")
    return cast("Validator", _Bounded(dict(schema), registry=Registry()))


def check_patterns(schema: Mapping[str, Any], what: str) -> None:
    """Refuse patterns of which nothing would be demanded.

    Raises:
        InvalidConfig: One is no regular expression, or has look-around or references to groups.
    """
    unknown = next(unknown_patterns(schema), None)
    if unknown is not None:
        raise InvalidConfig(
            f"{what} of no use: pattern {unknown[:_SHOWN]!r} is none that can be looked for in bounded time. "
            "Use no look-around and no references to groups."
        )


def _mixes(schema: Mapping[str, Any]) -> bool:
    """Whether names that patterns have taken are asked for, which jsonschema finds with Python's engine."""
    text = repr(schema)
    return "'patternProperties'" in text and "'unevaluatedProperties'" in text


def problems(checked: Validator, value: Any) -> list[str]:
    """What is wrong with a value, as half sentences, at most five; empty when it fits."""
    _left.set(MAX_REFERENCES)
    try:
        return sorted(_sentence(error) for error in checked.iter_errors(value))[:_MAX_PROBLEMS]
    except _TooManyReferences:
        return [f"its schema is of no use: more than {MAX_REFERENCES} references in it would have to be followed"]
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
