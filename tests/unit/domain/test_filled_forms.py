"""Forms that servers ask to be filled: which can be shown, what fits them, and what is filled in."""

from __future__ import annotations

from typing import Any

import pytest

from actors.domain.forms import MAX_FIELDS, filled, problems, unfit


def form(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


TEXT = {"type": "string"}
LEVEL = {"type": "string", "enum": ["low", "high"]}
TITLED = {"type": "string", "oneOf": [{"const": "a", "title": "A"}, {"const": "b", "title": "B"}]}
SEVERAL = {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}, "minItems": 1, "maxItems": 2}


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (TEXT, ["", "x"], [1, None, ["x"], {}]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "abc"], ["a", "abcd"]),
        (LEVEL, ["low"], ["middle", ""]),
        (TITLED, ["a", "b"], ["A"]),
        ({"type": "string", "format": "email"}, ["a@b"], ["a", "@b", "a@b@c"]),
        ({"type": "string", "format": "uri"}, ["https://a"], ["a", "http://["]),
        ({"type": "string", "format": "date"}, ["2026-11-26"], ["26.11.2026"]),
        ({"type": "string", "format": "date-time"}, ["2026-11-26T23:00:00+00:00"], ["now"]),
        ({"type": "boolean"}, [True, False], [1, "true"]),
        ({"type": "integer", "minimum": 1, "maximum": 9}, [1, 9, 3.0], [0, 10, 1.5, True, "1", float("nan")]),
        ({"type": "number"}, [1, 1.5], [True, "1", float("inf")]),
        (SEVERAL, [["x"], ["x", "y"]], [[], ["z"], "x", ["x", "y", "x"], [1]]),
    ],
)
def test_a_field_takes_what_its_schema_says_and_nothing_else(
    field: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    assert unfit(form(f=field)) is None
    assert [problems(form(f=field), {"f": value}) for value in good] == [[] for _ in good]
    assert all(problems(form(f=field), {"f": value}) for value in bad)


def test_what_is_missing_has_its_default_and_what_nobody_asked_for_is_refused() -> None:
    asked = form(name=TEXT, level=LEVEL | {"default": "low"}) | {"required": ["name", "level"]}
    assert filled(asked, {"name": "Ada"}) == {"name": "Ada", "level": "low"}
    assert filled(asked, {"level": "high"}) == {"level": "high"}
    assert problems(asked, {"level": "low", "more": 1}) == ["missing 'name'", "unknown 'more'"]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {"type": "array"},
        {"type": "object", "properties": []},
        form(f={"type": "object"}),
        form(f={}),
        form(f="string"),
        form(**{f"f{number}": TEXT for number in range(MAX_FIELDS + 1)}),
        form(f=TEXT) | {"required": ["g"]},
        form(f=TEXT | {"description": "x" * 20_000}),
    ],
)
def test_what_is_no_flat_form_of_bounded_size_is_shown_to_nobody(schema: Any) -> None:
    assert unfit(schema) is not None


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "enum": 3},
        {"type": "string", "oneOf": "ab"},
        {"type": "string", "minLength": "many"},
        {"type": "array", "items": 3},
        {"type": "integer", "minimum": None},
        {"type": ["string", "null"]},
    ],
)
def test_a_schema_that_is_broken_inside_is_shown_to_nobody(field: dict[str, Any]) -> None:
    assert unfit(form(f=field)) is not None
