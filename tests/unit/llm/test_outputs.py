"""Schemas as providers enforce them, and answers that are held against the whole schema."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from actors import json_schema
from actors.domain.calls import ModelCall
from actors.domain.messages import Message
from actors.domain.outputs import OutputFormat
from actors.llm.anthropic import AnthropicProvider
from actors.llm.names import ToolNames
from actors.llm.openai import OpenAIProvider
from actors.llm.outputs import held_to, problem_of
from tests.unit.llm.servers import HELLO, model_call
from tests.unit.llm.validators import check_anthropic, check_held_to, check_openai

_NAMES = ToolNames(())


class Part(BaseModel):
    """A part of a whole."""

    kind: Literal["leaf", "root"]
    count: int = Field(ge=0, le=9)
    parts: list[Part] = []


class Plant(BaseModel):
    """Nested, recursive, with options, bounds and patterns."""

    name: str = Field(pattern="^[a-z]+$", max_length=20, description="its name")
    seen: date | None = None
    part: Part


class Free(BaseModel):
    """With keys of its own."""

    notes: dict[str, int]


def _call(model: type[BaseModel] | None, name: str = "openai/gpt-4o-mini", *, tools: bool = True) -> ModelCall:
    output = OutputFormat(name=model.__name__, json_schema=model.model_json_schema()) if model else None
    call = model_call(name).model_copy(update={"output": output})
    return call if tools else call.model_copy(update={"tools": ()})


def _official(call: ModelCall) -> dict[str, Any]:
    body = OpenAIProvider("openai", None, None).body(call, HELLO, _NAMES)
    sent = {key: value for key, value in body.items() if value is not None}
    check_openai(sent)
    return sent


@pytest.mark.parametrize("all_required", [True, False])
def test_a_schema_of_models_can_be_enforced_without_what_providers_do_not_know(all_required: bool) -> None:
    narrow = held_to(Plant.model_json_schema(), all_required=all_required)
    assert narrow is not None
    check_held_to(narrow, all_required=all_required)
    assert narrow["properties"]["name"] == {"type": "string", "description": "its name"}
    assert set(narrow["required"]) == ({"name", "seen", "part"} if all_required else {"name", "part"})


@pytest.mark.parametrize(
    "schema",
    [
        Free.model_json_schema(),
        {"type": "array", "items": {"type": "integer"}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        {"properties": {"a": {}}},
        {"properties": {"a": True}},
        {"properties": {"a": {"allOf": [{"type": "string"}]}}},
        {"properties": {"a": {"type": "array", "prefixItems": [{"type": "string"}]}}},
        {},
    ],
)
def test_what_cannot_be_enforced_is_left_to_the_check(schema: dict[str, Any]) -> None:
    assert held_to(schema, all_required=True) is None


_LEAVES = st.sampled_from([{"type": "string"}, {"type": "integer", "minimum": 3}, {"enum": ["a", 1]}, {"const": None}])
_NAME = st.sampled_from(["a", "b", "type", "items", "required", "$ref", "additionalProperties"])
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda arms: {"oneOf": arms}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda members, some: {"type": "object", "properties": members, "required": sorted(members)[:some]},
            st.dictionaries(_NAME, inner, min_size=1, max_size=3),
            st.integers(0, 3),
        ),
    ),
    max_leaves=8,
)


@given(st.dictionaries(_NAME, _SCHEMAS, min_size=1, max_size=3))
def test_whatever_is_enforced_is_within_what_providers_take(members: dict[str, Any]) -> None:
    narrow = held_to({"type": "object", "properties": members}, all_required=True)
    assert narrow is not None
    check_held_to(narrow, all_required=True)
    json_schema.validator(narrow, "it is")


def test_openai_is_held_to_the_schema_beside_tools_and_other_servers_only_without() -> None:
    form = _official(_call(Plant))["response_format"]["json_schema"]
    assert (form["name"], form["strict"]) == ("Plant", True)
    form = _official(_call(Free))["response_format"]["json_schema"]
    assert (form["strict"], form["schema"]) == (False, Free.model_json_schema())
    assert "response_format" not in _official(_call(None))

    other = OpenAIProvider("vllm", "http://127.0.0.1:9", None)
    assert other.body(_call(Plant), HELLO, _NAMES)["response_format"] is None
    sent = other.body(_call(Plant, tools=False), HELLO, _NAMES)["response_format"]
    assert sent["json_schema"]["schema"] == Plant.model_json_schema()


@pytest.mark.parametrize(
    ("model", "enforces"),
    [
        ("claude-sonnet-4-20250514", False),
        ("claude-opus-4-1-20250805", False),
        ("claude-3-7-sonnet-20250219", False),
        ("claude-sonnet-4-5-20250929", True),
        ("claude-haiku-4-5", True),
        ("claude-opus-4-10", True),
        ("claude-opus-5", True),
        ("claude-opus-5-20270101", True),
    ],
)
def test_anthropics_models_are_held_to_the_schema_from_4_5_on(model: str, enforces: bool) -> None:
    call = _call(Plant, f"anthropic/{model}")
    body = AnthropicProvider("anthropic", None, None).body(call, (Message.user("hi"),), _NAMES)
    check_anthropic({key: value for key, value in body.items() if value is not None})
    assert (body["output_config"] is not None) is enforces


def test_a_form_that_cannot_be_enforced_is_not_sent_to_anthropic() -> None:
    call = _call(Free, "anthropic/claude-opus-4-6")
    assert AnthropicProvider("anthropic", None, None).body(call, HELLO, _NAMES)["output_config"] is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"name": "fern", "part": {"kind": "leaf", "count": 3}}', None),
        ('{"name": "FERN", "part": {"kind": "leaf", "count": 3}}', "'name'"),
        ('{"name": "fern", "part": {"kind": "leaf", "count": 12}}', "'part.count'"),
        ('{"name": "fern"}', "'part'"),
        ("[" * 100_000, "not JSON"),
        ('{"name": "fern"', "not JSON"),
    ],
)
def test_an_answer_is_held_against_the_whole_schema(text: str, problem: str | None) -> None:
    found = problem_of(OutputFormat(json_schema=Plant.model_json_schema()), text)
    assert (found is None) if problem is None else (found is not None and problem in found)
