"""Boundary between the event loop and blocking work: one daemon thread for each call.

A pool would not do: a user's function cannot be stopped, and the ones that hang would take the pool's threads from
everybody else, and keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from actors.errors import ToolError

_T = TypeVar("_T")

MAX_THREADS = 256
"""Threads at once in one process, those included whose callers have given up: 256 x 8 MB of address space."""

STOP_GRACE_S = 5.0
"""How long a cancelled call waits for work that was told to stop: it checks at each chunk of 64 KiB."""

_slots = threading.BoundedSemaphore(MAX_THREADS)

_loop: contextvars.ContextVar[asyncio.AbstractEventLoop] = contextvars.ContextVar("_loop")
"""The loop that waits for the work of this thread."""


class Stop:
    """Tells blocking work that nobody wants it any more."""

    def __init__(self) -> None:
        self._set = threading.Event()

    def set(self) -> None:
        """Ask the work to stop."""
        self._set.set()

    def check(self) -> None:
        """Return when the work goes on.

        Raises:
            ToolError: It was asked to stop.
        """
        if self._set.is_set():
            raise ToolError("The call was stopped before it took effect.")


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run ``work`` in a thread of its own; a caller that is cancelled leaves it behind.

    Raises:
        ToolError: ``MAX_THREADS`` are at work.
        RuntimeError: The work asked the process to end.
    """
    return await _start(work)


async def stoppable(work: Callable[[Stop], _T]) -> _T:
    """Run ``work`` in a thread; on cancel tell it to stop and wait for it, so that nothing happens afterwards.

    Work that was past stopping has taken effect: what it gives is what came of the call, cancelled or not.
    """
    stop = Stop()
    future = _start(lambda: work(stop))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        stop.set()
        with suppress(asyncio.TimeoutError, Exception):
            return await asyncio.wait_for(asyncio.shield(future), STOP_GRACE_S)
        raise


def awaited(wanted: Awaitable[_T]) -> _T:
    """For work in a thread: have the loop that waits for it await something, and get what came of that."""

    async def wait() -> _T:
        return await wanted

    return asyncio.run_coroutine_threadsafe(wait(), _loop.get()).result()


def from_any_thread(take: Callable[[str], None]) -> Callable[[str], None]:
    """``take`` for this loop and for threads: in one, the call returns when the loop has taken the text."""
    loop = asyncio.get_running_loop()

    async def on_loop(text: str) -> None:
        take(text)

    def each(text: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run_coroutine_threadsafe(on_loop(text), loop).result()
        else:
            take(text)

    return each


def _start(work: Callable[[], _T]) -> asyncio.Future[_T]:
    if not _slots.acquire(blocking=False):
        raise ToolError(f"{MAX_THREADS} tool calls are at work in threads of this host. Try again when some are done.")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()
    context = contextvars.copy_context()
    context.run(_loop.set, loop)

    def body() -> None:
        try:
            value = context.run(work)
        except (SystemExit, KeyboardInterrupt) as error:
            ended = RuntimeError(f"the tool tried to end the process ({type(error).__name__})")
            _tell(loop, partial(_fail, future, ended))
        except BaseException as error:
            _tell(loop, partial(_fail, future, error))
        else:
            _tell(loop, partial(_settle, future, value))
        finally:
            _slots.release()

    threading.Thread(target=body, name="greenroom-tool", daemon=True).start()
    return future


def _tell(loop: asyncio.AbstractEventLoop, settle: Callable[[], None]) -> None:
    # The loop may be closed by the time an abandoned function returns.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(settle)


def _settle(future: asyncio.Future[_T], value: _T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[_T], error: BaseException) -> None:
    if not future.done():
        # A future refuses this one, since it would end the generator that waits.
        stopped = isinstance(error, StopIteration)
        future.set_exception(RuntimeError("the tool raised StopIteration") if stopped else error)
