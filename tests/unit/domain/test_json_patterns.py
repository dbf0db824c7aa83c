"""Schemas of callers and servers: whatever stands in them, a check of an answer takes no time to speak of."""

from __future__ import annotations

from typing import Any

import pytest

from actors import json_schema
from actors.errors import InvalidConfig, InvalidRequest
from actors.output_types import OutputType

_ENDLESS = "^(a+)+$"
"""Python's engine tries all 2**n ways to divide n letters before it says no."""

_TEXT = "a" * 200 + "!"


def _problems(schema: dict[str, Any], value: Any) -> list[str]:
    return json_schema.problems(json_schema.validator(schema, "It is"), value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": _ENDLESS}, _TEXT),
        ({"patternProperties": {_ENDLESS: {"type": "integer"}}, "additionalProperties": False}, {_TEXT: 1}),
        ({"properties": {"x": {"items": {"pattern": _ENDLESS}}}}, {"x": [_TEXT]}),
    ],
)
def test_a_pattern_that_python_would_try_for_years_is_answered_at_once(schema: dict[str, Any], value: Any) -> None:
    assert len(_problems(schema, value)) == 1


def test_patterns_mean_what_they_meant() -> None:
    schema = {
        "properties": {"id": {"pattern": r"^\p{L}\d{2}$"}},
        "patternProperties": {"^x-": {"type": "integer"}},
        "additionalProperties": False,
    }
    assert _problems(schema, {"id": "ä12", "x-a": 1}) == []
    assert _problems(schema, {"id": "12"}) == [r"parameter 'id': '12' does not match '^\\p{L}\\d{2}$'"]
    assert _problems(schema, {"x-a": "1"}) == ["parameter 'x-a': '1' is not of type 'integer'"]
    assert _problems(schema, {"y": 1}) == [
        "unknown parameter: Additional properties are not allowed ('y' was unexpected)"
    ]
    typed = {"patternProperties": {"^x-": {}}, "additionalProperties": {"type": "string"}}
    assert _problems(typed, {"x-a": 1, "y": 2}) == ["parameter 'y': 2 is not of type 'string'"]


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(", "(a{1000}){1000}"])
def test_a_pattern_that_cannot_be_held_against_anything_is_refused_in_a_form_and_ignored_in_a_tool(
    pattern: str,
) -> None:
    for schema in (
        {"properties": {"x": {"pattern": pattern}}},
        {"patternProperties": {pattern: {"type": "string"}}},
        {"$defs": {"a": {"anyOf": [{"pattern": pattern}]}}},
    ):
        with pytest.raises(InvalidRequest, match="bounded time"):
            OutputType({"type": "object", **schema})
    assert _problems({"properties": {"x": {"pattern": pattern}}}, {"x": "b"}) == []


def test_a_value_that_looks_like_a_pattern_is_none() -> None:
    OutputType({"type": "object", "properties": {"pattern": {"enum": [{"pattern": "("}]}}})


def test_what_jsonschema_would_look_for_with_its_own_engine_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="together"):
        json_schema.validator({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "It is")


@pytest.mark.parametrize("levels", [70, 400, 3000])
def test_a_schema_of_any_depth_is_refused_with_a_sentence(levels: int) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    with pytest.raises(InvalidRequest, match="levels"):
        OutputType(schema)
    if levels > 1000:
        with pytest.raises(InvalidConfig, match="nested too deeply"):
            json_schema.validator(schema, "It is")


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_definitions_that_refer_to_each_other_twice_are_not_followed_a_billion_times(keyword: str) -> None:
    definitions: dict[str, Any] = {f"d{one}": {"allOf": [{keyword: f"#/$defs/d{one + 1}"}] * 2} for one in range(30)}
    schema = {keyword: "#/$defs/d0", "$defs": definitions | {"d30": {"type": "object"}}}
    (problem,) = _problems(schema, {})
    assert "references" in problem
    assert _problems(schema | {keyword: "#/$defs/d25"}, {}) == []
