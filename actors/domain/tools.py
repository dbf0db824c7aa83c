"""What a tool is to the rest of the service: a definition for the model and an effect class for recovery."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from actors.domain.base import Frozen

MAX_TOOL_NAME = 64
"""Providers cap tool names at 64 characters (OpenAI and Anthropic alike)."""


class EffectClass(StrEnum):
    """What running a call twice would mean. It decides recovery after a crash and never grants permission."""

    pure = "pure"
    """Reads only: may run any number of times, and beside others."""

    idempotent = "idempotent"
    """The second run changes nothing more."""

    unsafe = "unsafe"
    """Must not run twice unless somebody decides so."""


MAX_RESOURCE = 1_000_000
"""Of one resource that a tool asks for: more than any node has, and well within what Ray can count."""


def _placeable(resources: dict[str, float]) -> dict[str, float]:
    for name, amount in resources.items():
        if name in {"", "memory", "object_store_memory"}:
            raise ValueError(f"{name!r} is no resource that a tool can ask for")
        if amount > 1 and amount != int(amount):
            raise ValueError(f"of {name}, a part or a whole number can be asked for, not {amount:g}")
    return resources


class ToolDefinition(Frozen):
    """A tool as the model and the loop see it.

    Attributes:
        parameters: JSON Schema of the arguments, an object.
        effect: What running a call twice would mean.
        line_argument: The argument that is a line for bash, if one is: a call whose line surely only reads is pure.
        looking: Values of arguments, such as of one that names a command, with which a call only reads: it is pure.
        resources: What of the cluster its host takes for itself, by Ray's names: ``GPU``, ``CPU``, or one of your own.
        timeout_s: Longest run in seconds; None leaves it to the session's ``tool_timeout_s``.
        orders: Kinds of orders that what its server says of it seems to give the model.
    """

    name: str = Field(min_length=1, max_length=MAX_TOOL_NAME, pattern=r"^[A-Za-z0-9_.-]+$")
    description: str = ""
    parameters: dict[str, Any] = {"type": "object", "properties": {}}
    effect: EffectClass = EffectClass.unsafe
    line_argument: str | None = None
    looking: dict[str, tuple[str, ...]] = {}
    resources: Annotated[dict[str, Annotated[float, Field(gt=0, le=MAX_RESOURCE)]], AfterValidator(_placeable)] = {}
    timeout_s: float | None = Field(default=None, gt=0)
    orders: tuple[str, ...] = ()


SandboxMode = Literal["auto", "required", "off"]


class ToolOptions(Frozen):
    """What an operator chooses about the built-in tools of a host.

    Attributes:
        sandbox: ``auto``: commands run in bubblewrap where it works; ``required``: or not at all; ``off``.
        sandbox_network: Commands in the sandbox may use the network.
        web_search: Who searches the web: the URL of a SearXNG instance, or ``package.module:name``.
    """

    sandbox: SandboxMode = "off"
    sandbox_network: bool = False
    web_search: str | None = Field(default=None, repr=False)
