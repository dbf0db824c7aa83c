"""A person's consent to what the service does at a server: one page at a time, visited, and come back from.

The page's address is told by the server's status, and in the middle of a call by a question of the session too. What a
browser brings back is taken once, by the state that the address has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from actors.domain.mcp_oauth import Redirect
from actors.mcp.open_calls import OpenCalls

CONSENT_S: Final = 1800.0
"""How long an address is good: people find it in a status, sign in somewhere, and read what they agree to."""

MAX_IN_VAIN: Final = 3
"""Consents in a row after which the server still refuses: it would ask for ever."""

MAX_PAGE_CHARS: Final = 8192
"""Longest address of a page: browsers and servers take as much."""

_VISIT: Final = "The server asks for your consent. Visit the page; accept once you have agreed there."


class Refused(Exception):
    """There is no consent; the text says why."""


class Consent:
    """What one server asks of people.

    Args:
        calls: Of the server; one that runs into the need for consent asks its session.
        changed: Called when there is another address to visit, or none.
    """

    def __init__(self, calls: OpenCalls, changed: Callable[[], None]) -> None:
        self.url: str | None = None
        self._calls = calls
        self._changed = changed
        self._redirect: asyncio.Future[Redirect] | None = None
        self._clock: asyncio.Timeout | None = None
        self._in_vain = 0
        self._closed = False

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncGenerator[None]:
        """Bound a block in time; what people take does not count.

        Raises:
            TimeoutError: it took longer.
        """
        async with asyncio.timeout(seconds) as self._clock:
            try:
                yield
            finally:
                self._clock = None

    async def seek(self, url: str) -> Redirect:
        """Have a page visited; what the browser brings back.

        Raises:
            Refused: nobody agreed, or the server asks in vain.
        """
        if self._closed:
            raise Refused("the server is being left")
        if self._in_vain >= MAX_IN_VAIN:
            raise Refused(f"{MAX_IN_VAIN} authorizations have not been enough for the server: add it again to go on")
        if len(url) > MAX_PAGE_CHARS:
            raise Refused(f"the address of its authorization page has more than {MAX_PAGE_CHARS} characters")
        self.url, self._redirect = url, asyncio.get_running_loop().create_future()
        self._changed()
        left = self._stop_clock()
        try:
            redirect = await self._come_back(url, self._redirect)
        finally:
            self.url = self._redirect = None
            self._start_clock(left)
            self._changed()
        if redirect.error is not None or redirect.code is None:
            raise Refused(f"the authorization server answered {redirect.error or 'nothing'}")
        self._in_vain += 1
        return redirect

    async def _come_back(self, url: str, redirect: asyncio.Future[Redirect]) -> Redirect:
        asked = asyncio.ensure_future(self._calls.visit(url, _VISIT))
        try:
            async with asyncio.timeout(CONSENT_S):
                await asyncio.wait([redirect, asked], return_when=asyncio.FIRST_COMPLETED)
                if not redirect.done():
                    answer = asked.result()
                    if answer is not None and answer.action != "accept":
                        raise Refused(f"the page was not visited: {answer.action}")
                return await redirect
        except TimeoutError:
            raise Refused("nobody agreed in time") from None
        finally:
            asked.cancel()

    def finish(self, redirect: Redirect) -> bool:
        """A browser has come back; False when nobody waits for it any more."""
        waiting = self._redirect
        if waiting is None or waiting.done() or not redirect.comes_from(self.url):
            return False
        waiting.set_result(redirect)
        return True

    def close(self) -> None:
        """The server is being left: nobody is asked any more."""
        self._closed = True
        if self._redirect is not None and not self._redirect.done():
            self._redirect.set_exception(Refused("the server is being left"))

    def failed(self, why: str) -> bool:
        """There is no consent to go on with: the call in whose course this is says so; False when there is none."""
        return self._calls.note(f"Its authorization failed: {why}.")

    def worked(self) -> None:
        """The server has done what was asked of it."""
        self._in_vain = 0

    def _stop_clock(self) -> float | None:
        clock = self._clock
        when = clock.when() if clock is not None else None
        if clock is None or when is None:
            return None
        clock.reschedule(None)
        return when - asyncio.get_running_loop().time()

    def _start_clock(self, left: float | None) -> None:
        if left is not None and self._clock is not None:
            self._clock.reschedule(asyncio.get_running_loop().time() + left)
