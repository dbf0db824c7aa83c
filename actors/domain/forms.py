"""Forms that servers ask to be filled: flat objects of texts, numbers, yes or no, and choices. Pure.

A small part of JSON Schema, which the Model Context Protocol allows here. It has no regular expressions, so neither the
server's schema nor the answer can keep anybody busy. What a schema says beyond that part is the server's to check.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

from actors.domain.asking import MAX_CONTENT_CHARS, MAX_FORM_CHARS
from actors.domain.base import MAX_LEVELS, is_deep

MAX_FIELDS: Final = 64

_KINDS: Final = frozenset({"string", "number", "integer", "boolean", "array"})
_BOUNDS: Final = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems")
_MAX_NUMBER: Final = 2**63
_SHOWN: Final = 80

Schema = Mapping[str, Any]


def unfit(form: object) -> str | None:
    """Why a schema is no form that a person could be shown; None when it is one."""
    if not isinstance(form, dict) or cast("Schema", form).get("type") != "object":
        return "it is no object"
    whole = cast("Schema", form)
    fields, required = whole.get("properties", {}), whole.get("required", [])
    if not isinstance(fields, dict) or len(cast("Schema", fields)) > MAX_FIELDS:
        return f"it has no properties, or more than {MAX_FIELDS}"
    if not isinstance(required, list) or any(name not in fields for name in map(str, cast("list[Any]", required))):
        return "what is required is not among its properties"
    if is_deep(whole):
        return f"it has more than {MAX_LEVELS} levels"
    if len(json.dumps(form)) > MAX_FORM_CHARS:
        return f"it has more than {MAX_FORM_CHARS} characters"
    for name, field in cast("Schema", fields).items():
        if not _is_field(field):
            return f"property {name[:_SHOWN]!r} is neither text, number, yes or no, nor a choice"
    return None


def _is_field(field: Any) -> bool:
    """Whether a property can be shown, and a value be held against it: the server may have written anything."""
    if not isinstance(field, dict) or str(cast("Schema", field).get("type")) not in _KINDS:
        return False
    known = cast("Schema", field)
    bounds = [known[name] for name in _BOUNDS if name in known]
    return (
        all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in bounds)
        and _has_choices(known)
        and isinstance(items := known.get("items", {}), dict)
        and _has_choices(cast("Schema", items))
    )


def _has_choices(field: Schema) -> bool:
    """Whether what may be chosen, if it says so, is a list of texts."""
    try:
        choices = _choices(field)
    except (TypeError, AttributeError):
        return False
    return choices is None or all(isinstance(one, str) for one in choices)


def filled(form: Schema, content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with the form's defaults where it says nothing."""
    fields: Mapping[str, Schema] = form.get("properties", {})
    given = {name: field["default"] for name, field in fields.items() if "default" in field}
    return given | dict(content)


def problems(form: Schema, content: Mapping[str, Any]) -> list[str]:
    """What is wrong with a filled form, field by field; empty when it fits."""
    fields: Mapping[str, Schema] = form.get("properties", {})
    found = [f"missing {name!r}" for name in form.get("required", []) if name not in content]
    for name, value in content.items():
        if name not in fields:
            found.append(f"unknown {name[:_SHOWN]!r}")
        else:
            found += [f"{name!r} {why}" for why in _wrong(fields[name], value)]
    if not found and len(json.dumps(content)) > MAX_CONTENT_CHARS:
        found.append(f"more than {MAX_CONTENT_CHARS} characters")
    return found


def _wrong(field: Schema, value: Any) -> Iterator[str]:
    kind = field["type"]
    if kind == "boolean" and not isinstance(value, bool):
        yield "is not true or false"
    elif kind == "string":
        yield from _text(field, value) if isinstance(value, str) else ["is no text"]
    elif kind == "array":
        yield from _several(field, value) if isinstance(value, list) else ["is no list"]
    elif kind in {"number", "integer"}:
        if not _is_number(value) or (kind == "integer" and value != int(value)):
            yield f"is no {kind}"
        else:
            yield from _bounds(field, "minimum", "maximum", value, "")


def _is_number(value: Any) -> bool:
    """Whether it is one that every other program can read too."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MAX_NUMBER <= value <= _MAX_NUMBER


def _text(field: Schema, value: str) -> Iterator[str]:
    choices = _choices(field)
    if choices is not None and value not in choices:
        yield "is none of the choices"
    yield from _bounds(field, "minLength", "maxLength", len(value), " characters")
    check = _FORMATS.get(str(field.get("format")))
    if check is not None and not check(value):
        yield f"is no {field['format']}"


def _several(field: Schema, value: list[Any]) -> Iterator[str]:
    choices = _choices(cast("Schema", field.get("items", {})))
    if any(not isinstance(one, str) or (choices is not None and one not in choices) for one in value):
        yield "has what is none of the choices"
    yield from _bounds(field, "minItems", "maxItems", len(value), " choices")


def _choices(field: Schema) -> list[Any] | None:
    """What may be chosen: plain values, or such with titles."""
    if "enum" in field:
        return list(field["enum"])
    titled = field.get("oneOf", field.get("anyOf"))
    return [one.get("const") for one in titled] if titled is not None else None


def _bounds(field: Schema, least: str, most: str, size: float, of: str) -> Iterator[str]:
    if least in field and size < field[least]:
        yield f"is less than {field[least]}{of}"
    if most in field and size > field[most]:
        yield f"is more than {field[most]}{of}"


def _parses(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            return bool(read(value))
        except ValueError:
            return False

    return check


_FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "email": lambda value: len(value.split("@")) == 2 and all(value.split("@")),
    "uri": _parses(lambda value: urlsplit(value).scheme),
    "date": _parses(date.fromisoformat),
    "date-time": _parses(datetime.fromisoformat),
}
