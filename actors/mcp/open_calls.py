"""Calls that a server has open: each in a task of its own, which outlives the attempt in which the server asked.

A server of the older protocols asks while its call goes on. The attempt then ends with the question, and the call stays
open here: nobody else could go on with it. The next attempt brings the answer, and waits for what comes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from actors.domain.asking import MAX_QUESTIONS, Answer, Question
from actors.domain.calls import Emit, ToolCall
from actors.domain.mcp import McpServerConfig
from actors.mcp.problems import NoQuestion
from actors.mcp.questions import question_of, result_of
from actors.mcp.sampling import sampling_of

if TYPE_CHECKING:
    from mcp_types import CreateMessageRequestParams, ElicitRequestParams

MAX_HELD: Final = 256
"""Calls of one server that wait for answers: each is an open request of the server's too."""

HELD_LONGER_S: Final = 60.0
"""How much longer a call is held than its question is open, for an answer of the last moment."""

CLOSE_S: Final = 2.0
"""Longest wait for the end of a call that was cancelled; the server was told."""

LEFT_S: Final = 60.0
"""How long a call that was ended without an answer may still ask: its server was told, and need not have listened."""

_INVALID_REQUEST: Final = -32600

_CURRENT: ContextVar[OpenCall | None] = ContextVar("greenroom_open_call", default=None)


class OpenCall:
    """One call of a tool.

    Attributes:
        emit: Where its output goes: that of the attempt under way.
        note: What is to be said beside a failure of it.
    """

    def __init__(self, call: ToolCall, emit: Emit, work: Callable[[OpenCall], Awaitable[Any]]) -> None:
        self.journal_id = call.journal_id
        self.emit = emit
        self.note = ""
        self._asked: dict[str, tuple[Question, asyncio.Future[Answer]]] = {}
        self._count = 0
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._carry_out(work))
        self._task.add_done_callback(lambda _: self._news.set())

    async def _carry_out(self, work: Callable[[OpenCall], Awaitable[Any]]) -> Any:
        _CURRENT.set(self)
        return await work(self)

    @property
    def is_over(self) -> bool:
        """Whether the server has answered it, or cannot any more."""
        return self._task.done()

    @property
    def asks(self) -> bool:
        """Whether a question of it is open."""
        return bool(self._asked)

    async def leg(self, timeout_s: float) -> Any:
        """What comes next: its result, or the questions that it asks (a tuple). Raises what the call raises.

        Raises:
            TimeoutError: nothing came in time.
        """
        async with asyncio.timeout(timeout_s):
            while not self._task.done() and not self._asked:
                self._news.clear()
                await self._news.wait()
        if self._task.done():
            return self._task.result()
        return tuple(question for question, _ in self._asked.values())

    async def ask(self, question: Callable[[str], Question]) -> Answer:
        """Put a question of the server's, which gets a name here, and wait for its answer."""
        if len(self._asked) >= MAX_QUESTIONS:
            raise NoQuestion(f"{MAX_QUESTIONS} questions of the call are open already")
        self._count += 1
        key = str(self._count)
        put = question(key)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[key] = put, answer
        self._news.set()
        try:
            return await answer
        finally:
            self._asked.pop(key, None)

    def answer(self, answers: tuple[Answer, ...]) -> None:
        """Hand answers over, once. The server may have given a question up meanwhile."""
        for one in answers:
            _, future = self._asked.pop(one.key, (None, None))
            if future is not None and not future.done():
                future.set_result(one)

    async def close(self) -> None:
        """End it; the server is told, also that what it asks is not asked any more: it would wait for ever."""
        self._task.cancel()
        await asyncio.wait([self._task], timeout=CLOSE_S)
        if self._task.done() and not self._task.cancelled():
            self._task.exception()
        for _, answer in self._asked.values():
            if not answer.done():
                answer.set_exception(NoQuestion("the call is over"))


class OpenCalls:
    """The open calls of one server.

    Args:
        secrets: What must not appear in a question.
    """

    def __init__(self, secrets: Callable[[], tuple[str, ...]]) -> None:
        self._secrets = secrets
        self._calls: dict[str, OpenCall] = {}
        self._held: dict[str, asyncio.TimerHandle] = {}
        self._left: dict[str, float] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def begin(self, call: ToolCall, emit: Emit, work: Callable[[OpenCall], Awaitable[Any]]) -> OpenCall:
        """Open a call."""
        one = self._calls[call.call_id] = OpenCall(call, emit, work)
        return one

    def hold(self, call_id: str, within_s: float) -> None:
        """Keep a call open until it is taken up again, or for so long."""
        loop = asyncio.get_running_loop()
        self._held[call_id] = loop.call_later(within_s + HELD_LONGER_S, self._give_up, call_id)

    def take_up(self, call_id: str) -> OpenCall | None:
        """A call that was held; None when nobody holds it any more."""
        timer = self._held.pop(call_id, None)
        if timer is None:
            return None
        timer.cancel()
        return self._calls[call_id]

    async def end(self, call_id: str) -> None:
        """A call is over, or is to be."""
        one = self._calls.pop(call_id, None)
        if one is None:
            return
        if not one.is_over:
            self._left[one.journal_id] = asyncio.get_running_loop().time() + LEFT_S
        await one.close()

    def _give_up(self, call_id: str) -> None:
        del self._held[call_id]
        task = asyncio.create_task(self.end(call_id))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def leave(self, journal_id: str) -> None:
        """End those that are held for a session."""
        for call_id in [one for one in self._held if self._calls[one].journal_id == journal_id]:
            await self._end_held(call_id)

    async def _end_held(self, call_id: str) -> None:
        # It may have been taken up, or ended, while others were.
        timer = self._held.pop(call_id, None)
        if timer is not None:
            timer.cancel()
            await self.end(call_id)

    async def close(self) -> None:
        """End all that are held; those in an attempt end with that."""
        for call_id in list(self._held):
            await self._end_held(call_id)

    async def asked(self, params: ElicitRequestParams) -> Any:
        """The server asks people, in some call: as the SDK's callback answers."""
        return await self._answered(lambda key: question_of(key, params, self._secrets()))

    async def asked_model(self, params: CreateMessageRequestParams, config: McpServerConfig) -> Any:
        """The server asks a model, in some call: as the SDK's callback answers."""
        return await self._answered(lambda key: sampling_of(key, params, config, self._secrets()))

    async def _answered(self, question: Callable[[str], Question]) -> Any:
        from mcp_types import ErrorData

        one = _CURRENT.get() or self._only()
        if one is None:
            why = "it cannot be told which of the running calls asks; give each session a server of its own"
            return ErrorData(code=_INVALID_REQUEST, message=f"The question was not put to anybody: {why}.")
        if len(self._held) >= MAX_HELD:
            return ErrorData(code=_INVALID_REQUEST, message=f"{MAX_HELD} questions are open already.")
        try:
            return result_of(await one.ask(question))
        except NoQuestion as exc:
            return ErrorData(code=_INVALID_REQUEST, message=f"The question was not put to anybody: {exc}.")

    async def visit(self, url: str, message: str) -> Answer | None:
        """Ask for a page to be visited, in the call in whose course this runs; None at once when it runs in none.

        Raises:
            NoQuestion: it cannot be asked.
        """
        from mcp_types import ElicitRequestURLParams

        one = _CURRENT.get()
        if one is None:
            return None
        params = ElicitRequestURLParams(message=message, url=url)
        return await one.ask(lambda key: question_of(key, params, self._secrets()))

    def note(self, text: str) -> bool:
        """Have the call in whose course this runs say something when it fails; False when it runs in none."""
        one = _CURRENT.get()
        if one is not None:
            one.note = text
        return one is not None

    def _only(self) -> OpenCall | None:
        """Who asks, where the transport does not tell: some call, if all that may are of one session.

        Nobody is shown the question of somebody else's call, not of one that waits for an answer already, nor of one
        that was ended a moment ago.
        """
        now = asyncio.get_running_loop().time()
        self._left = {journal_id: until for journal_id, until in self._left.items() if until > now}
        running = sorted(self._calls.values(), key=lambda one: one.asks)
        journals = {one.journal_id for one in running} | self._left.keys()
        return running[0] if running and len(journals) == 1 else None
