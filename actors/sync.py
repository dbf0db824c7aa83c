"""The same operations for programs without an event loop: a manager whose loop runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from actors.handle import SessionHandle
from actors.handle_stream import TurnStream
from actors.manager import SessionManager

T = TypeVar("T")


class _Loop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="greenroom-sync", daemon=True)
        self._thread.start()

    def run(self, work: Awaitable[T]) -> T:
        """The result of a coroutine; an interrupt of the waiting thread cancels it."""

        async def awaiting() -> T:
            return await work

        future = asyncio.run_coroutine_threadsafe(awaiting(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """An async iterator as a plain one."""
        try:
            while True:
                try:
                    yield self.run(anext(items))
                except StopAsyncIteration:
                    return
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                self.run(close())

    @property
    def stopped(self) -> bool:
        """Whether nothing runs in it any more."""
        return self._loop.is_closed()

    def stop(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Sync:
    """Wraps an object: its coroutine methods block, its async iterators are plain ones."""

    def __init__(self, loop: _Loop, wrapped: Any) -> None:
        self._loop = loop
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._wrapped, name)
        return self._method(value) if callable(value) else value

    def __repr__(self) -> str:
        return f"Sync({self._wrapped!r})"

    def _method(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            value = method(*args, **kwargs)
            if hasattr(value, "__aiter__"):
                return self._loop.iterate(aiter(value))
            return self._plain(self._loop.run(value)) if asyncio.iscoroutine(value) else value

        return call

    def _plain(self, value: Any) -> Any:
        if isinstance(value, SessionHandle):
            return SyncSessionHandle(self._loop, value)
        if isinstance(value, TurnStream):
            return SyncTurnStream(self._loop, value)
        if isinstance(value, list):
            return [self._plain(one) for one in value]
        return value


class SyncSessionHandle(_Sync):
    """A ``SessionHandle`` whose methods block."""


class SyncTurnStream(_Sync):
    """A ``TurnStream`` to iterate over with a plain ``for``."""

    def __iter__(self) -> Iterator[Any]:
        return self._loop.iterate(aiter(self._wrapped))


class SyncSessionManager(_Sync):
    """A ``SessionManager`` whose methods block; all of them are there, with the same names and arguments.

    Not for use inside a running event loop: there, use ``SessionManager``.
    """

    @classmethod
    def _start(cls, constructor: Callable[..., Awaitable[SessionManager]], *args: Any, **kwargs: Any) -> Self:
        loop = _Loop()
        try:
            return cls(loop, loop.run(constructor(*args, **kwargs)))
        except BaseException:
            loop.stop()
            raise

    @classmethod
    def new(cls, *args: Any, **kwargs: Any) -> Self:
        """See ``SessionManager.new``."""
        return cls._start(SessionManager.new, *args, **kwargs)

    @classmethod
    def with_persistence(cls, *args: Any, **kwargs: Any) -> Self:
        """See ``SessionManager.with_persistence``."""
        return cls._start(SessionManager.with_persistence, *args, **kwargs)

    @classmethod
    def with_store(cls, *args: Any, **kwargs: Any) -> Self:
        """See ``SessionManager.with_store``."""
        return cls._start(SessionManager.with_store, *args, **kwargs)

    @classmethod
    def connect(cls, *args: Any, **kwargs: Any) -> Self:
        """See ``SessionManager.connect``."""
        return cls._start(SessionManager.connect, *args, **kwargs)

    @classmethod
    def local(cls, *args: Any, **kwargs: Any) -> Self:
        """See ``SessionManager.local``."""
        return cls._start(SessionManager.local, *args, **kwargs)

    def close(self) -> None:
        """See ``SessionManager.close``; also ends the thread. Nothing happens when it is closed."""
        if self._loop.stopped:
            return
        try:
            self._loop.run(self._wrapped.close())
        finally:
            self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
