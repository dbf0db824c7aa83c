"""Boundary between a typed Python function and a tool: ``@tool`` makes one of the other.

The schema comes from the signature, the description from the docstring. A function tool can be sent to another
process with cloudpickle: the resolved types travel with it, and what is built from them is built again there.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, cast, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError

from actors.domain.calls import UNCLEAR, Reconciled, ToolOutcome, Verdict
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import InvalidConfig, ToolError
from actors.tools.base import Tool, ToolContext, succeeded
from actors.tools.streaming import as_text, drained, drained_async
from actors.tools.threads import in_thread

Reconcile = Callable[[dict[str, Any], ToolContext], object]
"""What ``tool(reconcile=...)`` takes."""

_P = ParamSpec("_P")
_R = TypeVar("_R")

_IMPORT = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


class FunctionTool(Tool, Generic[_P, _R]):
    """A function as a tool. Calling it calls the function, so it still can be used and tested as one."""

    def __init__(
        self,
        function: Callable[_P, _R],
        *,
        name: str,
        effect: EffectClass,
        timeout: float | None,
        reconcile: Reconcile | None = None,
        resources: Mapping[str, float] | None = None,
        local_names: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self._reconcile = reconcile
        self._name = name
        self._types = _types(function, local_names or {})
        self.definition = self._define(effect, timeout, dict(resources or {}))

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call the function as it was written."""
        return self.function(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        # The model is a class made at run time; it is made again from the types.
        return {key: value for key, value in self.__dict__.items() if key != "_model"}

    def __repr__(self) -> str:
        return f"<tool {self._name} ({self.definition.effect})>"

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Call the function: on the loop when it is async, else in a thread, which a cancelled call leaves behind."""
        values = self._values(args, ctx)
        function = cast("Callable[..., object]", self.function)
        try:
            result = await _called(function, lambda: function(**values))
        except asyncio.CancelledError:
            if not inspect.iscoroutinefunction(function):
                ctx.leave()
            raise
        if inspect.isasyncgen(result):
            result = await drained_async(result, ctx.emit)
        elif inspect.isgenerator(result):
            result = await drained(result, ctx.emit, ctx.leave)
        return _outcome(result)

    async def reconcile(self, args: dict[str, Any], ctx: ToolContext) -> Reconciled:
        """Ask the function that was given for it; without one nobody can tell."""
        function = self._reconcile
        if function is None:
            return UNCLEAR
        found = await _called(function, lambda: function(args, ctx))
        if isinstance(found, Reconciled):
            return found
        if isinstance(found, Verdict):
            return Reconciled(verdict=found)
        return UNCLEAR if found is None else Reconciled.done(_outcome(found))

    def _define(self, effect: EffectClass, timeout: float | None, resources: dict[str, float]) -> ToolDefinition:
        try:
            return ToolDefinition(
                name=self._name,
                description=inspect.getdoc(self.function) or "",
                parameters=_untitled(self._model.model_json_schema(by_alias=True)),
                effect=effect,
                timeout_s=timeout,
                resources=resources,
            )
        except (PydanticUserError, ValidationError) as error:
            raise InvalidConfig(f"{self._name!r} cannot be a tool: {error}") from error

    @cached_property
    def _model(self) -> type[BaseModel]:
        fields: dict[str, Any] = {}
        for index, (name, (kind, default)) in enumerate(self._types.items()):
            if kind is not ToolContext:
                # Under numbered names, since a parameter may be called as something that every model has.
                fields[f"p{index}"] = (Annotated[kind, Field(alias=name)], default)
        config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
        try:
            return create_model(self._name, __config__=config, **fields)
        except (PydanticSchemaGenerationError, TypeError) as error:
            raise InvalidConfig(f"{self._name!r} cannot be a tool: {error}") from error

    def _values(self, args: dict[str, Any], ctx: ToolContext) -> dict[str, Any]:
        try:
            model = self._model.model_validate(args)
        except ValidationError as error:
            raise ToolError(f"Invalid arguments for {self._name}: {_reasons(error)}.") from error
        return {
            name: ctx if kind is ToolContext else getattr(model, f"p{index}")
            for index, (name, (kind, _)) in enumerate(self._types.items())
        }


@overload
def tool(function: Callable[_P, _R], /) -> FunctionTool[_P, _R]: ...


@overload
def tool(
    *,
    effect: EffectClass | str = EffectClass.unsafe,
    name: str | None = None,
    timeout: float | None = None,
    reconcile: Reconcile | None = None,
    num_gpus: float = 0,
    num_cpus: float = 0,
    resources: Mapping[str, float] | None = None,
) -> Callable[[Callable[_P, _R]], FunctionTool[_P, _R]]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: EffectClass | str = EffectClass.unsafe,
    name: str | None = None,
    timeout: float | None = None,
    reconcile: Reconcile | None = None,
    num_gpus: float = 0,
    num_cpus: float = 0,
    resources: Mapping[str, float] | None = None,
) -> Any:
    """Make a tool of a typed function or generator, sync or async.

    A parameter of type ``ToolContext`` gets the call's context and is hidden from the model. The result is a text, a
    ``ToolOutcome``, or anything that can be written as JSON. A sync function runs in a thread; on cancel or time-out
    it is left behind, since Python cannot stop it: what became of a cancelled one is unknown, unless it is ``pure``.

    What a generator yields is shown to those who watch, texts as they are; its final value is the result: what it
    returns, else what it yielded last. On cancel or time-out it is closed, a sync one at its next ``yield``.

    Args:
        function: The function, when the decorator is used without parentheses.
        effect: ``pure``, ``idempotent`` or ``unsafe``: what running a call twice would mean.
        name: The function's own name when None.
        timeout: Longest run in seconds; the session's ``tool_timeout_s`` when None.
        reconcile: Told the arguments and the context of a call whose host died under it, says what became of it,
            sync or async: ``Verdict.not_done`` has it run again, ``Verdict.unclear`` and None leave it in doubt, and
            anything else is what came of it. The context's ``call_id`` names the call as it did then, and
            ``recorded`` is what the tool recorded.
        num_gpus: GPUs that it needs; a part of one is possible. Ray places a host with them on any node, which all
            tools that need the same share. The workspace need not be there. A runtime in one process looks at none of
            this.
        num_cpus: CPUs that it needs in the same way; without, it runs beside others on the node of the workspace.
        resources: Further ones that it needs, by the names that nodes of the cluster give them.

    Raises:
        InvalidConfig: The signature cannot be described to a model.
    """
    needs = {**(resources or {}), **{name: part for name, part in (("CPU", num_cpus), ("GPU", num_gpus)) if part}}
    frame = inspect.currentframe()
    # Types that are defined beside a local function are known only there.
    caller = frame.f_back.f_locals if frame is not None and frame.f_back is not None else {}

    def decorate(decorated: Callable[..., Any]) -> FunctionTool[..., Any]:
        return FunctionTool(
            decorated,
            name=name or getattr(decorated, "__name__", ""),
            effect=_effect(effect),
            timeout=timeout,
            reconcile=reconcile,
            resources=needs,
            local_names=caller,
        )

    return decorate if function is None else decorate(function)


def load_tool(reference: str) -> Tool:
    """The tool that an import string names, such as ``my_package.tools:search``; a function becomes a tool.

    Raises:
        InvalidConfig: The string is malformed, cannot be imported, or names something else.
    """
    found = _IMPORT.fullmatch(reference)
    if found is None:
        raise InvalidConfig(f"{reference!r} does not name a tool; write package.module:name.")
    try:
        value: object = importlib.import_module(found[1])
        for part in found[2].split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise InvalidConfig(f"Tool {reference!r} cannot be imported on this host: {error}.") from error
    if isinstance(value, Tool):
        return value
    if isinstance(value, type) and issubclass(value, Tool):
        return value()
    if inspect.isfunction(value):
        return tool(value)
    raise InvalidConfig(f"{reference!r} is no tool and no function.")


def _effect(effect: EffectClass | str) -> EffectClass:
    try:
        return EffectClass(effect)
    except ValueError as error:
        names = ", ".join(EffectClass)
        raise InvalidConfig(f"{effect!r} is no effect class; use one of {names}.") from error


def _types(function: Callable[..., Any], local_names: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Type and default of each parameter; a default of ``...`` means that it is required."""
    name = getattr(function, "__name__", repr(function))
    try:
        hints = get_type_hints(function, localns=dict(local_names), include_extras=True)
    except (NameError, TypeError) as error:
        raise InvalidConfig(f"The types of {name!r} cannot be resolved: {error}.") from error
    found: dict[str, tuple[Any, Any]] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise InvalidConfig(f"{name!r} cannot be a tool: parameter {parameter.name!r} has no name for the model.")
        if parameter.name not in hints:
            raise InvalidConfig(f"{name!r} cannot be a tool: parameter {parameter.name!r} has no type.")
        found[parameter.name] = (
            hints[parameter.name],
            ... if parameter.default is parameter.empty else parameter.default,
        )
    return found


async def _called(function: Callable[..., object], call: Callable[[], object]) -> object:
    """On the loop when it is async, else in a thread."""
    result = call() if inspect.iscoroutinefunction(function) else await in_thread(call)
    return await result if inspect.isawaitable(result) else result


def _outcome(result: object) -> ToolOutcome:
    if isinstance(result, ToolOutcome):
        return result
    return succeeded(as_text(result))


def _reasons(error: ValidationError) -> str:
    return "; ".join(
        f"parameter {'.'.join(str(part) for part in one['loc'])!r}: {one['msg']}"
        for one in error.errors(include_url=False, include_context=False, include_input=False)[:5]
    )


def _untitled(value: Any) -> Any:
    """The schema without titles, which repeat the names; a property that is called title stays."""
    if isinstance(value, list):
        return [_untitled(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    known = cast("dict[str, Any]", value)
    return {key: _untitled(one) for key, one in known.items() if key != "title" or not isinstance(one, str)}
