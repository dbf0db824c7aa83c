"""One MCP server as the roster knows it: its key, who keeps it connected, what it offered last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from actors.domain.calls import HostRef
from actors.domain.mcp import McpOffer, McpServerConfig, McpState, McpStatus, status_of
from actors.domain.mcp_oauth import Redirect

SHARED: Final = ""
"""In the place of a journal: the server is there for all sessions of the tenant."""


class Key(NamedTuple):
    """A server among all. Names that differ by case only are one: permission rules do not tell them apart."""

    tenant: str
    journal_id: str
    name: str

    @classmethod
    def of(cls, tenant: str, journal_id: str, name: str) -> Key:
        """The key of a name as somebody wrote it."""
        return cls(tenant, journal_id, name.lower())


class Running(Protocol):
    """A server that somebody keeps connected."""

    @property
    def host(self) -> HostRef:
        """Who runs its tools."""
        ...

    async def first(self) -> McpOffer:
        """What it offers once the first attempt to connect has come to something."""
        ...

    async def offer(self) -> McpOffer:
        """What it offers now."""
        ...

    async def authorized(self, redirect: Redirect) -> bool:
        """Somebody's browser has come back from its authorization page; False when nobody waits for it any more."""
        ...

    async def leave(self, journal_id: str) -> None:
        """A session is gone: nobody will go on with the calls that it had the server hold open."""
        ...

    async def close(self) -> None:
        """End it; nothing is left of it afterwards."""
        ...


STEADY_S: Final = 60.0
"""Whoever kept a server connected for so long, in seconds, is replaced at once."""

RESTART_FIRST_S: Final = 0.2
RESTART_MAX_S: Final = 30.0
"""Bounds of the pause before somebody else is to keep a server connected, which doubles: a process that starts takes
two seconds of a processor."""

Start = Callable[[Key, McpServerConfig], Awaitable[Running]]


@dataclass(slots=True, eq=False)
class Server:
    """One server.

    Attributes:
        complete: Nothing of its configuration was lost with a runtime that has ended.
        running: Who keeps it connected; None when nobody does.
        offer: What it offered last.
        error: Why nobody keeps it connected.
        settled: The last attempt to start it has come to something, or the next is to wait.
        since: When it was started, by the loop's clock.
        pause_s: How long the last one who kept it connected had to wait for that; 0 when not at all.
    """

    config: McpServerConfig
    session_id: str | None
    complete: bool = True
    running: Running | None = None
    offer: McpOffer | None = None
    error: str | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = 0.0
    pause_s: float = 0.0

    def lose(self, now: float) -> None:
        """Whoever kept it connected is dead; after a short life the next one has to wait."""
        self.running = None
        first = now - self.since >= STEADY_S
        self.pause_s = 0.0 if first else self.next_pause_s
        self.error = None if first else "Whoever kept it connected died soon after the start."
        self.settled.clear()

    @property
    def next_pause_s(self) -> float:
        """Twice the last pause, within bounds."""
        return min(max(self.pause_s * 2, RESTART_FIRST_S), RESTART_MAX_S)

    @property
    def at_url(self) -> bool:
        """Whether it is where people may have to authorize it."""
        return self.config.transport.type != "stdio"

    async def authorized(self, redirect: Redirect) -> bool:
        """See ``Running.authorized``; False for a browser that was sent elsewhere, too."""
        running = self.running
        mine = redirect.comes_from(self.status.authorization_url)
        return mine and running is not None and await running.authorized(redirect)

    @property
    def status(self) -> McpStatus:
        """How it stands."""
        if not self.complete:
            return status_of(self.config, McpState.needs_secrets, self.session_id)
        if self.offer is None or self.running is None:
            state = McpState.connecting if self.config.enabled else McpState.disabled
            return status_of(self.config, state, self.session_id, error=self.error)
        return self.offer.status.model_copy(update={"session_id": self.session_id})
