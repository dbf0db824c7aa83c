"""The boundary between the sessions of one process and the store: appends that wait together travel together.

Above is ``remote.RemoteStore``; below is whatever carries one call. While a call is on its way, the appends of the
process's other sessions gather, and the next call takes them all: a process has one append call at a time, however
many sessions it hosts. Each part is answered by itself, and is the caller's to try again, with its own batch id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Final, NamedTuple

from actors.domain.journal import Appended, AppendPart, Refused
from actors.errors import InvalidRequest
from actors.storage.rules import part_bytes

MAX_PARTS: Final = 256
"""Parts of one call: as many as the store's writer takes into one commit."""

MAX_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one call, some milliseconds of a socket: nobody waits long behind others' images. A larger part is alone."""

Send = Callable[[Sequence[AppendPart]], Awaitable[Sequence[Appended | Refused]]]


class _Waiting(NamedTuple):
    part: AppendPart
    size: int
    answer: asyncio.Future[Appended]


class Gathering:
    """Appends of one process on their way to one store.

    Args:
        send: Carries parts in one call; gives an answer for each, or raises for all.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[_Waiting] = deque()
        self._under_way = False
        self._task: asyncio.Task[None] | None = None

    async def append(self, part: AppendPart) -> Appended:
        """Append with the next call. A caller that is cancelled takes back what was not sent yet, and nothing else.

        Raises:
            GreenroomError: The part was refused, or the call failed.
        """
        if not self._under_way:
            return await self._alone(part)
        answer: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(part, part_bytes(part), answer))
        return await answer

    async def _alone(self, part: AppendPart) -> Appended:
        """With nobody else on the way, an append is the call itself."""
        self._under_way = True
        try:
            (answer,) = await self._send([part])
        finally:
            self._go_on()
        if isinstance(answer, Refused):
            raise answer.error
        return answer

    def _go_on(self) -> None:
        """Send what has gathered; in an empty context, as it belongs to no single caller."""
        self._under_way = bool(self._waiting)
        if self._waiting:
            self._task = asyncio.get_running_loop().create_task(self._send_gathered(), context=Context())

    async def _send_gathered(self) -> None:
        try:
            while batch := self._next_batch():
                await self._carry(batch)
        finally:
            self._under_way = False

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < MAX_PARTS:
            if batch and size + self._waiting[0].size > MAX_BYTES:
                break
            one = self._waiting.popleft()
            if not one.answer.done():
                batch.append(one)
                size += one.size
        return batch

    async def _carry(self, batch: Sequence[_Waiting]) -> None:
        try:
            answers = await self._send([one.part for one in batch])
        except InvalidRequest as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            # One of them cannot travel, or makes no sense; the others are not to suffer for it.
            for one in batch:
                await self._carry([one])
        except Exception as error:
            _fail(batch, error)
        else:
            for one, answer in zip(batch, answers, strict=True):
                _settle(one, answer)


def _settle(one: _Waiting, answer: Appended | Refused) -> None:
    if isinstance(answer, Refused):
        _fail([one], answer.error)
    elif not one.answer.done():
        one.answer.set_result(answer)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for one in batch:
        if not one.answer.done():
            one.answer.set_exception(error)
