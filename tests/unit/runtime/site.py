"""One session whose processes come and go, around hosts and a store that outlive them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from actors.domain import records as r
from actors.domain.calls import CallKey, HostRef, Outcome
from actors.domain.commands import Cancel, Send
from actors.domain.ids import new_ulid
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message
from actors.domain.permissions import PermissionPolicy
from actors.domain.records import decode_record
from actors.domain.session import SessionConfig
from actors.effect_host import EffectHost, HostLimits
from actors.effect_host.sink import StoreSink
from actors.handle_reads import SessionReads
from actors.llm.catalogue import ProviderPool
from actors.llm.executor import ModelExecutor
from actors.local_hosts import LocalHosts
from actors.local_servers import LocalServers
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from actors.tools.executor import ToolExecutor
from actors.tools.function import tool
from actors.tools.registry import ToolRegistry
from tests.unit.local.runtimes import calls, says, script
from tests.unit.runtime.parts import LIMIT_S, TENANT, GatedStore, create


async def _no_news() -> None:
    return None


class Hosts(LocalHosts):
    """What a session's processes reach, and what they acknowledged."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.acked: list[CallKey] = []
        self.news = asyncio.Event()

    async def ack(self, host: HostRef, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        await super().ack(host, journal_id, epoch, keys)
        self.acked += keys
        self.news.set()

    async def acknowledged(self, key: CallKey) -> None:
        while key not in self.acked:
            self.news.clear()
            await self.news.wait()


def send() -> Send:
    return Send(command_id=new_ulid(), message=Message.user("go"), fresh=True)


class Site:
    """Hosts and a store that outlive the processes of a session, whose tool does not end when it is told to.

    Attributes:
        ran: How often the tool began, as it counts itself.
    """

    def __init__(self, store: GatedStore, idle_s: float) -> None:
        self.store = store
        self.ran = 0
        self.begun = asyncio.Event()
        self.end = asyncio.Event()

        @tool(effect="unsafe")
        async def act() -> str:
            self.ran += 1
            self.begun.set()
            while not self.end.is_set():
                try:
                    await self.end.wait()
                except asyncio.CancelledError:
                    continue
            return "done after all"

        self._registry = ToolRegistry([act])
        self._idle_s = idle_s
        self._open_hosts()
        self._process: SessionHost | None = None
        self._number = 0

    def _open_hosts(self) -> None:
        sink = StoreSink(self.store)
        limits = HostLimits(cancel_s=0.01, idle_s=self._idle_s)
        models = ModelExecutor(ProviderPool(_no_key).of, _no_blobs)
        self.tools = EffectHost("tools", ToolExecutor(Path.cwd(), self._registry, sink, self.store.blobs), sink, limits)
        self.servers = LocalServers(self.store, sink, "/", _no_news)
        self.hosts = Hosts(EffectHost("models", models, sink), self.tools, self._registry, self.servers)

    async def hosts_replaced(self) -> None:
        """Others, which know nothing, take the place of the hosts."""
        await self.tools.close()
        self._open_hosts()
        await self.servers.roster.load()

    async def reads(self) -> SessionReads:
        """Who reads of the session without waking it."""
        row = await self.store.row(TENANT, "s")
        assert row is not None
        return SessionReads(cast("Any", SimpleNamespace(store=self.store)), row)

    async def died(self) -> None:
        """The session's process ends in the middle of whatever it does."""
        if self._process is not None:
            await self._process.close()
            self._process = None

    async def activated(self) -> SessionHost:
        """The session in a process of its own, after the end of the one before."""
        await self.died()
        self._number += 1
        self._process = SessionHost(self.store, self.hosts, Surroundings())
        await self._process.assign(TENANT, "s", 0, self._number)
        return self._process

    async def closed_as_unknown(self) -> CallKey:
        """A turn whose call ignores that it is cancelled."""
        host = await self.activated()
        await host.submit("s", 1, send())
        await self.begun.wait()
        await host.submit("s", 1, Cancel(command_id=new_ulid(), fresh=True))
        await self.record(r.TurnCancelled)
        (closed,) = await self.records(r.ToolCallCompleted)
        assert closed.data.outcome is Outcome.unknown
        return CallKey(call_id=closed.data.call_id, attempt=closed.data.attempt)

    async def records(self, kind: type[Any]) -> list[Any]:
        found = [decode_record(one.body) for one in await self.store.records(TENANT, "s")]
        return [one for one in found if isinstance(one, kind)]

    async def record(self, kind: type[Any]) -> Any:
        async with aclosing(self.store.follow(TENANT, "s")) as pages:
            async for page in pages:
                for one in page:
                    record = decode_record(one.body)
                    if isinstance(record, kind):
                        return record
        raise AssertionError("a journal has no end")

    async def began(self) -> None:
        """A turn that is in the middle of its call."""
        host = await self.activated()
        await host.submit("s", self._number, send())
        await self.begun.wait()

    async def turn(self) -> None:
        """A whole turn of the present process."""
        assert self._process is not None
        await self._process.submit("s", self._number, send(), wait_s=LIMIT_S)

    async def kept(self, *wanted: CallKey) -> None:
        """Wait until the store keeps outcomes of just these attempts."""
        while True:
            results = await self.store.results(TENANT, "s")
            if [CallKey(call_id=one.call_id, attempt=one.attempt) for one in results] == list(wanted):
                return
            await self.tools.sweep()
            await asyncio.sleep(0)


async def _no_key(model: LlmConfig) -> None:
    return None


async def _no_blobs(tenant: str, digests: frozenset[str]) -> dict[str, bytes]:
    return {}


@asynccontextmanager
async def open_site(store: GatedStore | None = None, *, idle_s: float = 0.0) -> AsyncGenerator[Site]:
    """A site whose session calls the tool in its first turn, and then answers.

    Args:
        idle_s: How long hosts keep outcomes that nobody fetches.
    """
    model = script(calls(("act", {})), says("Done."))
    config = SessionConfig(model=model, permission_policy=PermissionPolicy.permissive())
    async with asyncio.timeout(LIMIT_S), store or GatedStore() as opened:
        site = Site(opened, idle_s)
        await site.servers.roster.load()
        await create(opened, "s", config=config)
        try:
            yield site
        finally:
            site.end.set()
            await site.activated()
            await site.tools.close()
