"""Patterns in JSON Schemas: both a schema and the text that it is held against may come from somebody who means ill.

The engine needs time in proportion to the text, whatever the pattern (it is pydantic's, Rust's ``regex``); one that
goes back and tries again can be kept busy for years by twenty characters. It knows no look-around and no references to
groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, cast

from jsonschema import ValidationError
from pydantic_core import SchemaError, SchemaValidator, core_schema

_SHOWN: Final = 200

_VALUES: Final = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values are no schemas."""

_REMEMBERED: Final = 1024
"""Patterns that are kept compiled."""


@lru_cache(_REMEMBERED)
def _compiled(pattern: str) -> SchemaValidator | None:
    """None when the engine does not know the pattern."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except (SchemaError, UnicodeError):
        return None


def _found(pattern: str, text: str, *, unknown: bool) -> bool:
    """Whether the pattern is found in the text; ``unknown`` is the answer for one that the engine does not know."""
    compiled = _compiled(pattern)
    return compiled.isinstance_python(text) if compiled is not None else unknown


def unknown_patterns(schema: Any) -> Iterator[str]:
    """The patterns in a schema that cannot be held against anything in bounded time, or are none."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += cast("list[Any]", value)
        elif isinstance(value, Mapping):
            entries = cast("Mapping[str, Any]", value)
            named = entries.get("patternProperties")
            patterns = list(cast("Mapping[str, Any]", named)) if isinstance(named, Mapping) else []
            if isinstance(entries.get("pattern"), str):
                patterns.append(entries["pattern"])
            yield from (pattern for pattern in patterns if _compiled(pattern) is None)
            waiting += [inner for key, inner in entries.items() if key not in _VALUES]


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    del schema
    if validator.is_type(instance, "string") and not _found(pattern, instance, unknown=True):
        yield ValidationError(f"{instance[:_SHOWN]!r} does not match {pattern[:_SHOWN]!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if validator.is_type(instance, "object"):
        for pattern, held_to in patterns.items():
            for name, value in instance.items():
                if _found(pattern, name, unknown=False):
                    yield from validator.descend(value, held_to, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = [
        name
        for name in instance
        if name not in properties and not any(_found(pattern, name, unknown=True) for pattern in patterns)
    ]
    if validator.is_type(allowed, "object"):
        for name in others:
            yield from validator.descend(instance[name], allowed, path=name)
    elif not allowed and others:
        names = ", ".join(map(repr, sorted(others, key=str)))
        verb = "was" if len(others) == 1 else "were"
        yield ValidationError(f"Additional properties are not allowed ({names} {verb} unexpected)")


KEYWORDS: Final[Mapping[str, Any]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}
"""The keywords that look for patterns, in the place of those that do so with Python's engine. Of a pattern that is not
known nothing is demanded."""
