from __future__ import annotations

import asyncio
import threading
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from actors.domain.calls import NOT_DONE, UNCLEAR, Outcome, Reconciled, ToolOutcome, Verdict
from actors.domain.tools import EffectClass
from actors.errors import InvalidConfig, ToolError
from actors.tools.base import ToolContext, succeeded
from actors.tools.executor import ToolExecutor
from actors.tools.function import FunctionTool, load_tool, tool
from actors.tools.registry import ToolRegistry

from .conftest import MakeCall, MakeContext


class _Point(BaseModel):
    x: int
    y: int = 0


class _Colour(Enum):
    red = "red"
    blue = "blue"


@tool(effect="pure")
def shift(point: _Point, by: int = 1, *, colour: _Colour = _Colour.red) -> dict[str, Any]:
    """Move a point."""
    return {"x": point.x + by, "y": point.y, "colour": colour}


def plain(text: str) -> str:
    """Return the text."""
    return text


class _NotATool:
    pass


async def test_a_function_becomes_a_tool_with_a_schema_from_its_signature(context: MakeContext) -> None:
    outcome = await shift.run({"point": {"x": 1}, "colour": "blue"}, context())

    assert outcome.content == '{"x": 2, "y": 0, "colour": "blue"}'
    assert (shift.definition.name, shift.definition.effect) == ("shift", EffectClass.pure)
    assert shift.definition.description == "Move a point."
    parameters = shift.definition.parameters
    assert parameters["required"] == ["point"]
    assert parameters["properties"]["by"] == {"default": 1, "type": "integer"}
    assert parameters["additionalProperties"] is False


def test_a_tool_still_is_a_function() -> None:
    assert shift(_Point(x=1), by=2) == {"x": 3, "y": 0, "colour": _Colour.red}


async def test_a_local_function_with_local_types_becomes_a_tool(context: MakeContext) -> None:
    class Local(BaseModel):
        n: int

    @tool
    def double(value: Local) -> int:
        return value.n * 2

    assert (await double.run({"value": {"n": 4}}, context())).content == "8"
    assert double.definition.effect is EffectClass.unsafe


async def test_the_context_is_handed_over_and_hidden_from_the_model(context: MakeContext) -> None:
    @tool(name="who")
    async def function(ctx: ToolContext, greeting: Annotated[str, Field(description="How to begin.")]) -> str:
        ctx.emit("working")
        return f"{greeting} {ctx.call_id}"

    seen: list[str] = []
    outcome = await function.run({"greeting": "hello"}, context(emit=seen.append))

    assert outcome.content == "hello j:1:2"
    assert seen == ["working"]
    assert function.definition.name == "who"
    assert function.definition.parameters["properties"] == {
        "greeting": {"type": "string", "description": "How to begin."}
    }


async def test_parameters_may_be_called_like_anything_a_model_has(context: MakeContext) -> None:
    @tool
    def odd(schema: int, copy: int, model_dump: int, _under: int, title: str) -> list[int | str]:
        return [schema, copy, model_dump, _under, title]

    args = {"schema": 1, "copy": 2, "model_dump": 3, "_under": 4, "title": "t"}

    assert (await odd.run(args, context())).content == '[1, 2, 3, 4, "t"]'
    assert list(odd.definition.parameters["properties"]) == list(args)


async def test_a_sync_function_does_not_hold_up_the_loop(context: MakeContext) -> None:
    released = threading.Event()

    @tool
    def wait() -> str:
        released.wait()
        return threading.current_thread().name

    running = asyncio.create_task(wait.run({}, context()))
    released.set()

    assert (await running).content == "greenroom-tool"


async def test_a_sync_function_that_hangs_is_left_behind_at_the_time_out(make_call: MakeCall, tmp_path: Any) -> None:
    released = threading.Event()

    @tool(timeout=0.05)
    def hang() -> str:
        released.wait()
        return "late"

    outcome = await ToolExecutor(tmp_path, ToolRegistry([hang])).execute(make_call("hang"), lambda channel, text: None)
    released.set()

    assert outcome.outcome is Outcome.timeout


async def test_wrong_arguments_are_told_by_name(context: MakeContext) -> None:
    with pytest.raises(ToolError, match=r"Invalid arguments for shift: parameter 'point.x'"):
        await shift.run({"point": {"x": "no"}}, context())
    with pytest.raises(ToolError, match="parameter 'extra'"):
        await shift.run({"point": {"x": 1}, "extra": 1}, context())


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration()])
async def test_a_function_cannot_end_the_host(make_call: MakeCall, tmp_path: Any, error: BaseException) -> None:
    @tool
    def leave() -> str:
        raise error

    outcome = await ToolExecutor(tmp_path, ToolRegistry([leave])).execute(
        make_call("leave"), lambda channel, text: None
    )

    assert outcome.outcome is Outcome.error
    assert outcome.content.startswith("Tool execution error: RuntimeError")


async def test_a_result_that_is_an_outcome_passes_unchanged(context: MakeContext) -> None:
    given = ToolOutcome(outcome=Outcome.error, content="no", exit_code=1)

    @tool
    def refuse() -> ToolOutcome:
        return given

    assert await refuse.run({}, context()) == given


def test_a_signature_that_no_model_can_fill_is_refused_where_it_is_written() -> None:
    with pytest.raises(InvalidConfig, match="'args' has no name"):

        @tool
        def many(*args: int) -> None: ...

    with pytest.raises(InvalidConfig, match="'x' has no type"):
        tool(lambda x: x)

    with pytest.raises(InvalidConfig, match="cannot be a tool"):

        @tool
        def strange(x: _NotATool) -> None: ...

    with pytest.raises(InvalidConfig, match="is no effect class"):
        tool(effect="harmless")(plain)


async def test_a_tool_is_whole_again_from_its_state_alone(context: MakeContext) -> None:
    copy: FunctionTool[..., Any] = FunctionTool.__new__(FunctionTool)
    vars(copy).update(shift.__getstate__())

    assert copy.definition == shift.definition
    assert (await copy.run({"point": {"x": 1}}, context())).outcome is Outcome.ok


def test_an_import_string_names_a_tool_or_a_function() -> None:
    assert load_tool("actors.tools.files:ReadTool").definition.name == "read"
    assert load_tool("tests.unit.tools.functions:echo").definition.name == "echo"
    assert load_tool("tests.unit.tools.functions:undecorated").definition.name == "undecorated"


@pytest.mark.parametrize(
    "reference", ["nonsense", "a:b:c", "no.such.module:x", "tests.unit.tools.functions:absent", "os:sep", "../x:y"]
)
def test_an_import_string_that_names_no_tool_is_refused(reference: str) -> None:
    with pytest.raises(InvalidConfig):
        load_tool(reference)


def test_choices_reach_the_model() -> None:
    @tool
    def choose(mode: Literal["fast", "slow"]) -> None: ...

    assert choose.definition.parameters["properties"]["mode"]["enum"] == ["fast", "slow"]


async def _later(args: dict[str, Any], ctx: ToolContext) -> str:
    return f"{ctx.call_id} did {args['what']} with {ctx.recorded['key']}"


@pytest.mark.parametrize(
    ("reconcile", "expected"),
    [
        (_later, Reconciled.done(succeeded("j:1:2 did it with k"))),
        (lambda args, ctx: succeeded(args["what"]), Reconciled.done(succeeded("it"))),
        (lambda args, ctx: {"n": 1}, Reconciled.done(succeeded('{"n": 1}'))),
        (lambda args, ctx: Verdict.not_done, NOT_DONE),
        (lambda args, ctx: Verdict.unclear, UNCLEAR),
        (lambda args, ctx: None, UNCLEAR),
        (None, UNCLEAR),
    ],
)
async def test_a_function_given_for_it_says_what_became_of_a_lost_call(
    context: MakeContext, reconcile: Any, expected: Reconciled
) -> None:
    @tool(reconcile=reconcile)
    def act(what: str) -> str:
        """Do it."""
        return what

    assert await act.reconcile({"what": "it"}, context(recorded={"key": "k"})) == expected


async def test_a_plain_function_records_what_has_to_be_known_before_it_goes_on(context: MakeContext) -> None:
    seen: list[Any] = []

    async def record(facts: Any) -> None:
        await asyncio.sleep(0)
        seen.append(dict(facts))

    @tool
    def act(ctx: ToolContext) -> str:
        """Do it."""
        ctx.record_from_thread({"key": "k"})
        return str(seen)

    assert (await act.run({}, context(record=record))).content == "[{'key': 'k'}]"


def test_resources_are_part_of_the_definition_and_parts_of_many_are_refused() -> None:
    @tool(num_gpus=0.5, num_cpus=2, resources={"disk": 1})
    def train() -> str:
        return ""

    assert train.definition.resources == {"GPU": 0.5, "CPU": 2, "disk": 1}
    too_much: tuple[dict[str, Any], ...] = ({"num_cpus": 1e30}, {"num_gpus": float("inf")}, {"num_gpus": 1.5})
    for wrong in (*too_much, {"num_cpus": -1}, {"resources": {"memory": 1}}):
        with pytest.raises(InvalidConfig):
            tool(**wrong)(plain)  # pyright: ignore[reportArgumentType] - each is one of its arguments


def test_a_host_keeps_the_tools_that_need_what_it_has() -> None:
    train = tool(num_gpus=1)(plain)

    def host() -> ToolRegistry:
        return ToolRegistry([shift, train])

    beside, own = host(), host()
    assert [one.name for one in beside.part_with({})] == ["plain"]
    assert [one.name for one in beside.definitions()] == ["shift"]
    assert own.part_with({"GPU": 1}) == ()
    assert [one.name for one in own.definitions()] == ["plain"]
