"""Scripts of the scripted model: from a history and its options to the one step that comes next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

from pydantic import Field, ValidationError, field_validator

from actors.domain.base import Frozen
from actors.domain.compaction import SummaryOf
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, Role, StopReason, TextBlock, TokenUsage
from actors.errors import ModelRejected
from actors.policy.continuation import CONTINUATION_PROMPT
from actors.policy.structured import is_repair, without_form

Failure = Literal["unavailable", "protocol", "auth", "rejected"]
FAILURES: tuple[Failure, ...] = ("unavailable", "protocol", "auth", "rejected")

MODELS = ("echo", "script", "prompt")

MAX_STEPS = 10_000
"""Steps of one script; ten times the rounds that a turn may be given."""

_DONE = "done"
"""The last answer of a prompt that consists of tool lines only: a turn ends with text."""


class StepCall(Frozen):
    """A tool call of an answer. ``raw_args`` is sent in place of ``args``, and need not be JSON."""

    tool: str = Field(min_length=1)
    args: dict[str, Any] = {}
    raw_args: str | None = None


class Step(Frozen):
    """One answer.

    Attributes:
        text: What it says.
        tool: A tool it calls, with ``args`` or ``raw_args``.
        tools: Several calls: ``{"tool": ..., "args": ...}`` each; they follow ``tool``.
        delay_s: Wait before the answer begins, in seconds.
        token_delay_s: Wait between two words, in seconds.
        clock: So many further words, each of which is the machine's monotonic clock when it leaves: for measuring.
        error: Fail with this kind of error instead of answering.
        fail_times: Fail on the attempts up to this number only; with ``error`` alone every attempt fails.
        stop_reason: As given; else ``tool_use`` with calls and ``end_turn`` without.
        thinking: What it thinks first.
        usage: As given; else counted from the characters.
    """

    text: str = ""
    tool: str | None = None
    args: dict[str, Any] = {}
    raw_args: str | None = None
    tools: tuple[StepCall, ...] = ()
    delay_s: float = Field(default=0.0, ge=0, le=3600)
    token_delay_s: float = Field(default=0.0, ge=0, le=60)
    clock: int = Field(default=0, ge=0, le=100_000)
    error: Failure | None = None
    fail_times: int | None = Field(default=None, ge=0)
    stop_reason: StopReason | None = None
    thinking: str = ""
    usage: TokenUsage | None = None

    @field_validator("stop_reason", mode="before")
    @classmethod
    def _known_reason(cls, value: object) -> object:
        return StopReason(value) if isinstance(value, str) else value

    @property
    def calls(self) -> tuple[StepCall, ...]:
        """The tool calls, in order."""
        first = (StepCall(tool=self.tool, args=self.args, raw_args=self.raw_args),) if self.tool else ()
        return (*first, *self.tools)

    def fails_on(self, attempt: int) -> bool:
        """Whether this attempt (from 1) fails."""
        if self.fail_times is None:
            return self.error is not None
        return attempt <= self.fail_times


def plan(llm: LlmConfig, messages: Sequence[Message], *, summary_of: SummaryOf | None = None) -> Step:
    """The step that the history has come to.

    Args:
        llm: The model and its options.
        messages: The history.
        summary_of: It is a request for a summary, or a title.

    Raises:
        ModelRejected: unknown model, or a script that is not valid.
    """
    if llm.model not in MODELS:
        known = ", ".join(f"scripted/{name}" for name in MODELS)
        raise _rejected(f"there is no model {llm.model!r}; there are {known}", 404)
    defaults = {key: llm.options[key] for key in ("delay_s", "token_delay_s") if key in llm.options}
    if summary_of is not None:
        lines = len(last_user_text(messages).splitlines())
        what = "title" if summary_of.title else "summary"
        return _step(llm.options.get(what, {"text": f"A {what} of {lines} lines."}), defaults, f"the {what}")
    if llm.model == "echo":
        return _step({"text": last_user_text(messages)}, defaults, "options")
    if llm.model == "prompt":
        steps = prompt_steps(last_user_text(messages))
        return _step(steps[min(position(messages), len(steps) - 1)], defaults, "the prompt")
    steps = _script(llm.options)
    place = position(messages)
    place = place % len(steps) if llm.options.get("loop") else min(place, len(steps) - 1)
    return _step(steps[place], defaults, f"options['steps'][{place}]")


def position(messages: Sequence[Message]) -> int:
    """How many answers the turn has: assistant messages after the last text of a person.

    Tool results do not begin a turn, nor does the text that asks an unfinished answer to go on.
    """
    count = 0
    for message in reversed(messages):
        if message.role is Role.assistant:
            count += 1
        elif _is_prompt(message):
            break
    return count


def last_user_text(messages: Sequence[Message]) -> str:
    """The last text of a person; empty when there is none."""
    return next((without_form(message).text for message in reversed(messages) if _is_prompt(message)), "")


def prompt_steps(text: str) -> list[dict[str, Any]]:
    """The steps that a user's text describes, line by line; at least one, the last without tool calls.

    ``/say TEXT`` and lines without a slash are text of the answer; ``/tool NAME {json}`` calls a tool, and the first
    other line after tool calls begins the next answer; ``/sleep SECONDS`` waits before the answer; ``/fail KIND [N]``
    fails, on the first N attempts or always. Anything else is text.
    """
    steps: list[dict[str, Any]] = [{}]
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "/tool" and rest.strip():
            name, _, arguments = rest.strip().partition(" ")
            steps[-1].setdefault("tools", []).append({"tool": name, "raw_args": arguments.strip()})
            continue
        if "tools" in steps[-1]:
            steps.append({})
        _read_line(word, rest.strip(), line, steps[-1])
    if "tools" in steps[-1]:
        steps.append({"text": _DONE})
    return steps


def _read_line(word: str, rest: str, line: str, step: dict[str, Any]) -> None:
    if word == "/sleep" and _number(rest) is not None:
        step["delay_s"] = step.get("delay_s", 0.0) + _number(rest)
    elif word == "/fail" and rest.split(" ")[0] in FAILURES:
        kind, _, times = rest.partition(" ")
        step["error"] = kind
        if times.isdecimal():
            step["fail_times"] = int(times)
    else:
        said = rest if word == "/say" else line
        step["text"] = f"{step['text']}\n{said}" if "text" in step else said


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_prompt(message: Message) -> bool:
    if message.role is not Role.user or message.text == CONTINUATION_PROMPT or is_repair(message.text):
        return False
    return any(isinstance(block, TextBlock) for block in message.content)


def _script(options: dict[str, Any]) -> list[object]:
    steps = options.get("steps")
    if not isinstance(steps, list | tuple) or not steps:
        raise _rejected("options['steps'] must be a list of at least one step")
    found = list(cast("Sequence[object]", steps))
    if len(found) > MAX_STEPS:
        raise _rejected(f"options['steps'] has more than {MAX_STEPS} steps")
    return found


def _step(raw: object, defaults: dict[str, Any], where: str) -> Step:
    try:
        return Step.model_validate({**defaults, **cast("dict[str, Any]", raw)} if isinstance(raw, dict) else raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise _rejected(f"{where} is not a step: {path}: {first['msg']}") from None


def _rejected(detail: str, status: int = 400) -> ModelRejected:
    return ModelRejected("scripted", status, detail)
