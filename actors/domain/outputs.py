"""What an answer has to be when it is for a program: JSON that fits a schema."""

from __future__ import annotations

import json
from typing import Any, cast

from pydantic import Field, field_validator

from actors.domain.base import MAX_LEVELS, Frozen, shallow

MAX_SCHEMA_BYTES = 32 * 1024
"""Bytes of a schema as JSON: it stands in the record of its input and in the prompt."""

MAX_PROBLEM_CHARS = 1000
"""Characters of what is said about an answer that does not fit."""

_FENCE = "```"


class OutputFormat(Frozen):
    """The form of an answer.

    Attributes:
        name: What providers call it.
        json_schema: JSON Schema (2020-12) that refers to nothing outside of itself.
    """

    name: str = Field(default="output", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    json_schema: dict[str, Any]

    @field_validator("json_schema")
    @classmethod
    def _bounded(cls, schema: dict[str, Any]) -> dict[str, Any]:
        _check_nesting(schema)
        try:
            size = len(json.dumps(schema, ensure_ascii=False).encode())
        except UnicodeEncodeError:
            raise ValueError("a schema has half of a surrogate pair in it, which is not valid Unicode") from None
        if size > MAX_SCHEMA_BYTES:
            raise ValueError(f"a schema has at most {MAX_SCHEMA_BYTES // 1024} KiB")
        return schema

    @property
    def schema_text(self) -> str:
        """The schema as a model reads it: compact, and the same each time."""
        return json.dumps(self.json_schema, ensure_ascii=False, separators=(",", ":"))


def _check_nesting(schema: dict[str, Any]) -> None:
    level: list[Any] = [schema]
    for _ in range(MAX_LEVELS):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise ValueError(f"a schema has at most {MAX_LEVELS} levels")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        found = cast("dict[str, Any]", value)
        target = found.get("$ref", "#")
        if isinstance(target, str) and not target.startswith("#"):
            raise ValueError("a schema refers only to places within itself ('#/$defs/...')")
        return list(found.values())
    return cast("list[Any]", value) if isinstance(value, list) else []


def json_part(text: str) -> str:
    """The JSON in an answer: all of it, or what stands in the one code block that it consists of."""
    text = text.strip()
    if not (text.startswith(_FENCE) and text.endswith(_FENCE) and "\n" in text):
        return text
    return text[text.index("\n") : -len(_FENCE)].strip()


def parsed(text: str) -> Any:
    """The value of an answer.

    Raises:
        ValueError: it is no JSON, or has more than 64 levels; ``NaN`` and infinities are none.
    """
    try:
        return shallow(json.loads(json_part(text), parse_constant=_no_number))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
