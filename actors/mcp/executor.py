"""Runs calls of MCP tools for an effect host."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from actors.domain.asking import Asked, Question, QuestionMode, Resume
from actors.domain.calls import (
    RAISED,
    UNCLEAR,
    Delta,
    Emit,
    ModelCall,
    ModelOutcome,
    Outcome,
    Reconciled,
    ToolCall,
    ToolOutcome,
)
from actors.domain.mcp_library import McpResources
from actors.domain.tools import EffectClass
from actors.errors import GreenroomError
from actors.mcp.connection import McpConnection
from actors.mcp.open_calls import OpenCall
from actors.mcp.problems import Lost, NoQuestion, NotConnected, hidden, misfit
from actors.mcp.questions import URL_REQUIRED, asked_in, few, pages_in, responses_of
from actors.mcp.reading import list_resources, outcome_of_listing, read_resource
from actors.mcp.requests import CONNECT_WAIT_S, NOTHING, Given, call_tool
from actors.mcp.results import outcome_of, outcome_of_reading
from actors.tools.base import capped, failed

MAX_ATTEMPTS: Final = 3
"""How often a call that may be repeated is made when the server goes away under it."""

MAX_PROGRESS_CHARS: Final = 500
_MAX_ERROR_CHARS: Final = 2000
ASK_AGAIN_S: Final = 0.25
"""Before a server that is not done yet is asked again; the time of the call bounds how often."""


Make = Callable[[Any, float, Given], Awaitable[Any]]
"""Makes a request, with (where progress goes, seconds to wait for a connection, what it is taken up with)."""


class Request(NamedTuple):
    """What a call asks of the server. ``repeatable``: when the connection is lost under it."""

    make: Make
    repeatable: bool


class McpExecutor:
    """``Executor`` over one connection."""

    def __init__(self, connection: McpConnection) -> None:
        self._connection = connection
        self._calls = connection.open_calls

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ModelOutcome | ToolOutcome:
        """See ``Executor.execute``."""
        if call.kind != "tool":
            return ModelOutcome(outcome=Outcome.error, error_code="InternalError", error="This host runs tools.")
        started = time.monotonic()
        outcome = await self._run(call, emit)
        return outcome.model_copy(update={"duration_ms": int((time.monotonic() - started) * 1000)})

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> ModelOutcome | ToolOutcome:
        """See ``Executor.cancelled``: the server was told, and nobody knows what it has done of it."""
        if call.kind != "tool":
            return ModelOutcome(outcome=Outcome.cancelled)
        return _told_to_stop("".join(delta.text for delta in deltas if delta.channel == "output"))

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """See ``Executor.reconcile``: the protocol has no such question."""
        del call, recorded
        return UNCLEAR

    async def _run(self, call: ToolCall, emit: Emit) -> ToolOutcome:
        timeout_s = min(self._connection.config.tool_timeout_s, call.limit_s or math.inf)
        if call.resume is not None and call.resume.held:
            # Whatever the server lists now.
            return await self._taken_up(call, call.resume, timeout_s, emit)
        request = self._request(call)
        server = self._connection.config.name
        if request is None:
            # Its tools are known only once it is there.
            try:
                await self._connection.line(min(CONNECT_WAIT_S, timeout_s))
            except NotConnected as exc:
                return self._failed(
                    f"MCP server {server} cannot be reached: {exc}. The call was not made.", "NotConnected"
                )
            request = self._request(call)
            if request is None:
                return failed(f"MCP server {server} has no tool {call.name} any more.")
        attempts = MAX_ATTEMPTS if request.repeatable else 1
        for attempt in range(1, attempts + 1):
            try:
                return await self._ask(request.make, call, timeout_s, emit)
            except Lost as exc:
                if attempt == attempts:
                    return self._lost(call, exc)
            except NotConnected as exc:
                return self._failed(
                    f"MCP server {server} cannot be reached: {exc}. The call was not made.", "NotConnected"
                )
        raise AssertionError("a loop over at least one attempt ends inside")

    def _lost(self, call: ToolCall, why: Lost) -> ToolOutcome:
        more = "" if call.effect is not EffectClass.unsafe else " The call may or may not have taken effect: verify."
        name = self._connection.config.name
        return self._failed(
            f"MCP server {name} went away during the call: {why}{self._connection.why_lost}.{more}", "Lost"
        )

    def _request(self, call: ToolCall) -> Request | None:
        """What a call asks of the server; None when nothing is known that has its name."""
        listing = self._connection.listing
        name = (listing.published.names or {}).get(call.name)
        if name is not None:
            make = partial(call_tool, self._connection, name, call.args)
            # Since it was recorded, the tool may have become another one, and its server one that is not trusted.
            now = next(one.effect for one in listing.published.definitions if one.name == call.name)
            return Request(make, repeatable=EffectClass.unsafe not in {call.effect, now})
        # A resource that breaks the connection would break it each time, under the calls of others.
        if listing.reading is not None and call.name in listing.reading:
            ask = list_resources if call.name == listing.reading[0] else read_resource
            return Request(partial(ask, self._connection, call.args), repeatable=False)
        return None

    async def _taken_up(self, call: ToolCall, resume: Resume, timeout_s: float, emit: Emit) -> ToolOutcome:
        """Go on with a call that is held open, or end it."""
        one = self._calls.take_up(call.call_id)
        if one is None:
            text = f"MCP server {self._connection.config.name} does not hold the call open any more."
            return ToolOutcome(outcome=Outcome.unknown, content=text, exit_code=1)
        if resume.abandon:
            await self._calls.end(call.call_id)
            return _told_to_stop("")
        one.emit = emit
        one.answer(resume.answers)
        try:
            return await self._leg(one, call, timeout_s)
        except Lost as exc:
            if call.effect is EffectClass.unsafe:
                return self._lost(call, exc)
            # It may be made again from its start, which is not this attempt's to do.
            return ToolOutcome(outcome=Outcome.unknown, content=str(exc), exit_code=1)

    async def _ask(self, make: Make, call: ToolCall, timeout_s: float, emit: Emit) -> ToolOutcome:
        resume, modern = call.resume, self._connection.modern
        no = _refused(resume, modern=modern)
        if no is not None:
            return self._failed(no, "Refused")
        wait_s = min(CONNECT_WAIT_S, timeout_s)
        given = NOTHING
        if resume is not None and modern:
            given = Given(responses_of(resume.answers, resume.roots, self._workspace(call)), resume.state)

        async def work(one: OpenCall) -> Any:
            async def progress(done: float, total: float | None, message: str | None) -> None:
                share = f"{done:g}" if total is None else f"{done:g}/{total:g}"
                one.emit("output", f"[{share}] {(message or '')[:MAX_PROGRESS_CHARS]}".rstrip() + "\n")

            return await self._until_asked(call, lambda more: make(progress, wait_s, more), given)

        return await self._leg(self._calls.begin(call, emit, work), call, timeout_s)

    async def _until_asked(self, call: ToolCall, ask: Callable[[Given], Awaitable[Any]], given: Given) -> Any:
        """What a request comes to, or what has to be asked of others than this host."""
        again = False
        while True:
            result = await ask(given)
            if getattr(result, "result_type", "") != "input_required":
                return result
            asked = asked_in(result, self._connection.config, self._connection.secrets)
            if asked.questions:
                return asked
            # It wants to know the roots, or just to be asked again.
            given = Given(responses_of((), asked.roots, self._workspace(call)), asked.state)
            await asyncio.sleep(ASK_AGAIN_S if again or not asked.roots else 0)
            again = True

    def _workspace(self, call: ToolCall) -> str:
        return call.workspace or self._connection.workspace

    async def _leg(self, one: OpenCall, call: ToolCall, timeout_s: float) -> ToolOutcome:
        """A call until it ends or asks."""
        held = False
        try:
            came = await one.leg(timeout_s)
            held = isinstance(came, tuple)
            if held:
                self._calls.hold(call.call_id, self._connection.config.answer_within_s)
                return self._held(came)
            return self._came(came)
        except (Lost, NotConnected):
            raise
        except GreenroomError as exc:
            return self._failed(exc.message, exc.code)
        except TimeoutError:
            return self._late(timeout_s)
        except NoQuestion as exc:
            return self._failed(f"The call was not gone on with: {exc}.", "NoQuestion")
        except Exception as exc:
            return self._wrong(exc, one.note)
        finally:
            if not held:
                await self._calls.end(call.call_id)

    def _came(self, result: Any) -> ToolOutcome:
        if isinstance(result, McpResources):
            return outcome_of_listing(result)
        if isinstance(result, Asked):
            return _asks(result)
        return outcome_of_reading(result) if hasattr(result, "contents") else outcome_of(result)

    def _held(self, questions: tuple[Question, ...], *, held: bool = True) -> ToolOutcome:
        within_s = self._connection.config.answer_within_s
        return _asks(Asked(questions=few(questions), held=held, answer_within_s=within_s))

    def _wrong(self, exc: Exception, note: str) -> ToolOutcome:
        """The outcome of a call that the server, or the SDK, broke off."""
        from mcp import MCPError

        name = self._connection.config.name
        if not isinstance(exc, MCPError):
            why = misfit(exc) if isinstance(exc, ValidationError) else exc
            return self._failed(f"MCP server {name} gave no valid answer: {why}", type(exc).__name__)
        if exc.code == URL_REQUIRED:
            try:
                return self._held(pages_in(exc.data, self._connection.secrets), held=False)
            except NoQuestion as why:
                return self._failed(f"MCP server {name} refused the call: {why}.", "MCPError")
        return self._failed(f"MCP server {name} refused the call: {exc.message}{note and f'. {note}'}", "MCPError")

    async def close(self) -> None:
        """End what is held open."""
        await self._calls.close()

    def _late(self, timeout_s: float) -> ToolOutcome:
        text = f"The call timed out after {timeout_s:g} s. The server was told to stop; verify what it did."
        return ToolOutcome(outcome=Outcome.timeout, content=text, exit_code=1, metadata={"timed_out": True})

    def _failed(self, text: str, kind: str) -> ToolOutcome:
        return failed(hidden(text[:_MAX_ERROR_CHARS], self._connection.secrets), **{RAISED: kind})


def _asks(asked: Asked) -> ToolOutcome:
    content = "\n".join(question.message for question in asked.questions)
    return ToolOutcome(outcome=Outcome.input_required, content=content, asked=asked)


def _refused(resume: Resume | None, *, modern: bool) -> str | None:
    """Why a call is not taken up again; None when it can be. A server that keeps nothing can be told of no refusal."""
    for answer in resume.answers if resume is not None else ():
        if answer.action != "accept" and answer.mode is QuestionMode.sampling and modern:
            return f"The call needs a model's answer, and there is none: {(answer.content or {}).get('reason')}."
        if answer.action != "accept" and not modern:
            return f"The call needs a page to be visited, and the answer was: {answer.action}."
    return None


def _told_to_stop(text: str) -> ToolOutcome:
    note = "[the call was cancelled, and the server told; verify what it did]"
    return ToolOutcome(outcome=Outcome.cancelled, content=f"{capped(text)}\n{note}".lstrip("\n"), exit_code=1)
