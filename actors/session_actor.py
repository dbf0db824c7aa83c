"""The actor that hosts resident sessions: a thin shell around ``SessionHost``.

It holds no credentials and runs no user code. Every method takes (journal_id, assignment_no) and answers NotHere to
anything but its present assignments.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from actors.cluster.doors import Doors
from actors.cluster.hosts import ClusterHosts
from actors.cluster.links import Links
from actors.cluster.registry_link import RegistryLink
from actors.cluster.shared import SharedContexts
from actors.domain.command import Command
from actors.domain.commands import COMMAND
from actors.domain.contexts import Beginning
from actors.effect_host.guarded import Vault
from actors.errors import GreenroomError, SessionNotFound, to_wire
from actors.memory_use import private_bytes
from actors.peers import Peer, RuntimeInfo, World
from actors.served import Served
from actors.session.submitted import Submitted
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost, defect_of
from actors.storage.remote import RemoteStore
from actors.withheld_logs import withhold_in_logs

log = logging.getLogger(__name__)


class SessionActor:
    """A pool member: blank until the registry assigns it a session."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._host: SessionHost | None = None
        methods = {"assign": self.assign, "release": self.release, "deliver": self.deliver}
        self._served = Served({"submit": self._submit_plain, **methods})

    async def open(self, info: RuntimeInfo) -> Peer:
        """Take part in a runtime; given again by another registry, it only follows that from then on."""
        if self._host is not None:
            self._registry.follow(info)
        else:
            vault = Vault()
            withhold_in_logs(lambda: vault.known)
            self._registry = RegistryLink(info)
            self._world = info.world
            token = info.token.get_secret_value()
            links = Links(token, data_plane=info.data_plane)
            hosts = ClusterHosts(self._registry, links)
            store = RemoteStore(links.to(info.store), SharedContexts(info.store))
            self._host = SessionHost(store, hosts, _surroundings(info.world), on_end=self._tell_end)
            self._doors = Doors(self._name, self._served, data_plane=info.data_plane, tcp=info.tcp)
            await self._doors.open(info.runtime, "session", token)
            self._warming = asyncio.get_running_loop().create_task(self._warm())
        return self._doors.peer

    async def far(self) -> str:
        """Where other nodes reach it."""
        return await self._doors.open_far()

    async def _warm(self) -> None:
        """Have the store's connection and the tools there before the first session comes."""
        try:
            await self._sessions().warm()
        except GreenroomError as exc:
            log.info("the first session will have to wait a little: %s", exc)

    def _sessions(self) -> SessionHost:
        if self._host is None:
            raise SessionNotFound(self._name)
        return self._host

    def _tell_end(self, journal_id: str, assignment_no: int, reason: GreenroomError) -> None:
        self._registry.tell("session_ended", journal_id, assignment_no, reason.code, defect_of(reason))

    async def assign(self, tenant: str, journal_id: str, term: int, assignment_no: int) -> int:
        """See ``SessionHost.assign``.

        Returns:
            The private memory of this process in bytes, before the session came.
        """
        private = private_bytes()
        await self._sessions().assign(tenant, journal_id, term, assignment_no)
        return private

    async def release(self, journal_id: str, assignment_no: int, idle_s: float = 0.0) -> bool:
        """See ``SessionHost.release``."""
        return await self._sessions().release(journal_id, assignment_no, idle_s=idle_s)

    async def deliver(self, journal_id: str, assignment_no: int, letters: list[bytes]) -> list[dict[str, Any] | None]:
        """See ``SessionHost.deliver``; errors as plain values."""
        outcomes = await self._sessions().deliver(journal_id, assignment_no, letters)
        return [to_wire(outcome) if outcome is not None else None for outcome in outcomes]

    async def drop(self, journal_id: str) -> None:
        """The session was destroyed."""
        await self._sessions().drop(journal_id, SessionNotFound(journal_id))

    async def surround(self, world: World) -> None:
        """The runtime's world has changed."""
        self._world = world
        await self._sessions().surround(_surroundings(world))

    async def world(self) -> World:
        """The runtime's world as this actor was last told of it."""
        return self._world

    async def residents(self) -> list[tuple[str, str, int]]:
        """(tenant, journal_id, assignment_no) of the sessions here, also of those whose activation was under way."""
        await self._sessions().settled()
        return [(one.tenant, one.journal_id, one.assignment_no) for one in self._sessions().residents()]

    async def submit(
        self, journal_id: str, assignment_no: int, command: Command, wait_s: float = 0.0, until_action: bool = False
    ) -> Submitted:
        """Give a session a command: for callers that hold the actor's handle.

        Raises:
            NotHere: the session is not resident here under this assignment; resolve it again.
        """
        return await self._sessions().submit(
            journal_id, assignment_no, command, wait_s=wait_s, until_action=until_action
        )

    async def _submit_plain(
        self,
        journal_id: str,
        assignment_no: int,
        command: bytes,
        fresh: bool,
        wait_s: float,
        until_action: bool,
        held: list[Any],
    ) -> dict[str, Any]:
        given = COMMAND.validate_json(command)
        if fresh:
            given = given.model_copy(update={"fresh": True})
        done = await self.submit(journal_id, assignment_no, given, wait_s, until_action)
        base, rest = done.context.after(Beginning(*held))
        return {
            "reply": done.reply.model_dump_json().encode(),
            "end": done.end.model_dump_json().encode() if done.end else None,
            "base": list(base),
            "context": list(rest),
            "waits": done.waits,
        }

    async def invoke(self, method: str, args: dict[str, Any]) -> list[Any]:
        """The data plane's methods as a Ray method."""
        return await self._served.invoke(method, args)

    async def watch(self) -> None:
        """Never returns: whoever waits for it learns of this process's death at once."""
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """End in good order, for one that hosts nobody any more."""
        await self._sessions().close()
        await self._served.close()

    async def pid(self) -> int:
        """The process, for tests that kill it."""
        return os.getpid()

    async def pulse(self) -> tuple[int, dict[str, int]]:
        """A sign of life: the private memory of this process in bytes, and what each session here holds."""
        return private_bytes(), self._sessions().weights()

    async def ping(self) -> str:
        """Prove that the event loop turns; doubles as the no-op of the benchmarks."""
        return self._name


def _surroundings(world: World) -> Surroundings:
    return Surroundings(
        default_model=world.default_model,
        global_policy=world.global_policy,
        security=world.security,
        workspace=world.workspace,
        shared_workspaces=world.shared_workspaces,
    )
