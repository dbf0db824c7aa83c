"""Answers in a form: asked for with a type or a schema, checked, repaired, and given as values."""

from __future__ import annotations

import json
from collections import UserString
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel

from actors.domain import records as r
from actors.domain.messages import TextBlock
from actors.domain.policies import OnBusy
from actors.errors import CommandConflict, InvalidRequest, OutputInvalid
from tests.unit.local.runtimes import calls, config, records, says, session


class Fruit(BaseModel):
    """What an answer is to be."""

    name: str
    grams: int


APPLE = '{"name": "apple", "grams": 150}'


async def test_an_answer_that_fits_is_a_value_of_the_type() -> None:
    async with session(config(says(APPLE))) as one:
        result = await one.generate("a fruit", output_type=Fruit)
        assert result.output == Fruit(name="apple", grams=150)
        assert (result.text, len(result.messages)) == (APPLE, 2)


async def test_the_model_is_told_of_the_form_after_the_prompt_and_the_journal_keeps_both_apart() -> None:
    async with session(config(says(APPLE))) as one:
        result = await one.generate("a fruit", output_type=Fruit)
        prompt, form = (block.text for block in result.messages[0].content if isinstance(block, TextBlock))
        assert prompt == "a fruit"
        assert json.loads(form.partition("\n")[2]) == Fruit.model_json_schema()
        (asked,) = await records(one, r.UserMessage)
        assert asked.data.message.text == "a fruit"
        assert asked.data.output is not None
        assert (asked.data.output.name, asked.data.output.json_schema) == ("Fruit", Fruit.model_json_schema())


@pytest.mark.parametrize(
    ("wanted", "text", "value"),
    [
        (list[int], "[1, 2]", [1, 2]),
        (int, "7", 7),
        ({"type": "object", "required": ["a"]}, '{"a": null}', {"a": None}),
        ({}, "null", None),
        (Fruit, f"```json\n{APPLE}\n```", Fruit(name="apple", grams=150)),
        (dict[str, float], '{"pi": 3.5}', {"pi": 3.5}),
    ],
)
async def test_any_type_and_any_schema_can_be_asked_for(wanted: Any, text: str, value: Any) -> None:
    async with session(config(says(text))) as one:
        result = await one.generate("go", output_type=wanted)
        assert result.output == value
        json.loads(result.text)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("An apple.", "not JSON"),
        ('{"name": "apple"}', "'grams'"),
        ('{"name": "apple", "grams": "many"}', "'grams'"),
        ('{"name": "apple", "grams": NaN}', "not JSON"),
        ("", "not JSON"),
    ],
)
async def test_an_answer_that_does_not_fit_is_repaired_by_telling_the_model_why(answer: str, told: str) -> None:
    async with session(config(says(answer), says(APPLE), max_continuations=3)) as one:
        result = await one.generate("a fruit", output_type=Fruit)
        assert result.output == Fruit(name="apple", grams=150)
        first, second = await records(one, r.ModelCallStarted)
        assert first.data.nudge is None
        assert second.data.nudge is not None
        assert told in second.data.nudge


async def test_after_as_many_repairs_as_are_allowed_the_turn_fails_and_says_why() -> None:
    async with session(config(says("no"), max_continuations=2)) as one:
        with pytest.raises(OutputInvalid, match="not JSON") as caught:
            await one.generate("a fruit", output_type=Fruit)
        assert (caught.value.session_id, caught.value.turn_id) == (one.session_id, "turn-1")
        assert len(await records(one, r.ModelCallStarted)) == 3
        assert (await one.generate("and now a text")).text == "no"


async def test_without_repairs_the_first_answer_decides() -> None:
    async with session(config(says("no"), says(APPLE), max_continuations=0)) as one:
        with pytest.raises(OutputInvalid):
            await one.generate("a fruit", output_type=Fruit)
        assert len(await records(one, r.ModelCallStarted)) == 1


async def test_tools_may_be_called_before_the_answer_and_are_not_held_to_the_form() -> None:
    async with session(config(calls(("ls", {"path": "."})), says(APPLE))) as one:
        result = await one.generate("a fruit", output_type=Fruit)
        assert (result.output.name, result.tool_calls_count) == ("apple", 1)


async def test_an_answer_that_looks_unfinished_is_not_asked_to_go_on_when_it_fits() -> None:
    async with session(config(calls(("ls", {"path": "."})), says('"let me see:"'), max_continuations=3)) as one:
        assert (await one.generate("go", output_type=str)).output == "let me see:"
        assert len(await records(one, r.ModelCallStarted)) == 2


async def test_the_next_input_without_a_type_gets_a_text() -> None:
    async with session(config(says(APPLE))) as one:
        await one.generate("a fruit", output_type=Fruit)
        result = await one.generate("a fruit")
        assert (result.text, result.output) == (APPLE, None)


async def test_receipts_and_streams_give_the_value_too() -> None:
    async with session(config(says(APPLE))) as one:
        receipt = await one.send("a fruit", output_type=Fruit)
        assert (await one.wait_turn(receipt, output_type=Fruit)).output.grams == 150
        stream = await one.generate_streaming("a fruit", output_type=Fruit)
        assert (await stream.result()).output.grams == 150


async def test_a_repeated_command_is_the_same_only_with_the_same_type() -> None:
    async with session(config(says(APPLE))) as one:
        await one.generate("a fruit", output_type=Fruit, command_id="c")
        assert (await one.generate("a fruit", output_type=Fruit, command_id="c")).output.grams == 150
        with pytest.raises(CommandConflict):
            await one.generate("a fruit", command_id="c")
        assert len(await one.turns()) == 1


def _ripe(name: str) -> str:
    if name != "banana":
        raise ValueError("only bananas")
    return name


async def test_what_only_python_can_check_is_checked_where_the_value_is_made() -> None:
    async with session(config(says('"apple"'))) as one:
        with pytest.raises(OutputInvalid, match="only bananas"):
            await one.generate("a fruit", output_type=Annotated[str, AfterValidator(_ripe)])


def _deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (UserString, "no JSON Schema"),
        ({"type": "thing"}, "not a valid JSON Schema"),
        ({"$ref": "https://example.com/schema.json"}, "within itself"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "within itself"),
        ({"enum": ["x" * 40_000]}, "KiB"),
        (_deep(100), "levels"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_before_anything_happens(wanted: Any, told: str) -> None:
    async with session(config(says(APPLE))) as one:
        with pytest.raises(InvalidRequest, match=told):
            await one.generate("a fruit", output_type=wanted)
        assert len(await one.records()) == 1


async def test_a_schema_that_refers_to_nothing_is_a_failure_and_no_crash() -> None:
    async with session(config(says("{}"))) as one:
        with pytest.raises(OutputInvalid, match="nowhere in it"):
            await one.generate("a fruit", output_type={"$ref": "#/$defs/Gone"})


async def test_an_input_with_a_form_does_not_steer() -> None:
    async with session(config(says(APPLE))) as one:
        with pytest.raises(InvalidRequest, match="steer"):
            await one.generate("a fruit", output_type=Fruit, on_busy=OnBusy.steer)
