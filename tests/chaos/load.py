"""An independent user under whom things break: sends inputs, repeats them when unsure, waits for their turns."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from actors import (
    LaneHandlerConfig,
    McpServerConfig,
    PermissionPolicy,
    Receipt,
    SessionConfig,
    SessionHandle,
    SessionLane,
    SessionManager,
    SessionQueueConfig,
    SessionState,
    TaskHandlerMode,
)
from actors.domain import records as r
from actors.domain.ids import new_ulid
from actors.domain.permissions import PermissionDecision, PermissionRule
from actors.domain.policies import OnInDoubt
from actors.errors import TurnFailed
from tests.chaos.asking import AGAIN_S, impatient, sure, until_sure
from tests.chaos.invariants import History
from tests.chaos.kin import Kin
from tests.chaos.prompts import ANSWER, KINDS, OWN_KINDS, OWN_STEERED, STEERED, prompt
from tests.chaos.reader import Reader

WAIT_S = 120.0
"""Longest wait for one turn to end, over all its recoveries: beyond it, the turn counts as lost."""

IMPATIENT_S = 0.05
"""Longest wait of a user who does not wait for the answer."""

PAGE = 1000

ASKS = PermissionPolicy(ask=(PermissionRule("append_once"),), default_decision=PermissionDecision.allow)
"""Lets all run but the unsafe tool, which it asks about."""

OUTSIDE = SessionQueueConfig(
    lane_handlers={SessionLane.execute: LaneHandlerConfig(mode=TaskHandlerMode.external, timeout_ms=3_600_000)}
)
"""Hands the tools' work to somebody outside."""

STEERED_S = 0.4
"""Longest time after an input at which its turn is steered, and for which it stays paused."""


class User:
    """One session and whoever talks to it.

    Args:
        files: Where its tools append; see ``prompt``.
        seed: What it says, in which order.
        own: Whether its session has an MCP server of its own.
    """

    def __init__(
        self, manager: SessionManager, session: SessionHandle, files: Path, seed: int, *, own: bool = False
    ) -> None:
        self.session = session
        self.turns = 0
        self.repeated = 0
        self.steered = 0
        self.acknowledged: list[str] = []
        self.lost: list[str] = []
        self.kin = Kin(manager, session)
        self.reader = Reader(session)
        self._files = files
        self._random = random.Random(seed)
        self._kinds, self._steered = (OWN_KINDS, OWN_STEERED) if own else (KINDS, STEERED)

    @classmethod
    async def enter(
        cls, manager: SessionManager, name: str, files: Path, seed: int, own: McpServerConfig | None = None
    ) -> User:
        """Make the session.

        Every other asks about calls in doubt, the rest tell the model; every third asks before the unsafe tool; every
        fourth lets somebody outside do its tools' work.
        """
        doubt = OnInDoubt.report if seed % 2 else OnInDoubt.ask
        policy = ASKS if seed % 3 == 0 else PermissionPolicy.permissive()
        queue = OUTSIDE if seed % 4 == 2 else None
        config = SessionConfig(permission_policy=policy, on_in_doubt=doubt, queue_config=queue)
        command = new_ulid()
        created = await until_sure(lambda: manager.create_session(name, config, command_id=command))
        if own is not None:
            await until_sure(lambda: created.add_mcp_server(own))
        return cls(manager, created, files, seed, own=own is not None)

    async def talk(self, over: asyncio.Event) -> None:
        """Turn after turn, until it is over; the turn under way is still waited for. Somebody reads along."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self.reader.read())
            while not over.is_set():
                await self.turn(self._random.choices(list(self._kinds), list(self._kinds.values()))[0])
            info = await until_sure(self.session.info)
            if not await self.reader.caught_up(info.head_seq):
                self.lost.append(f"what its reader waits for after record {info.head_seq}")
            reading.cancel()

    async def turn(self, kind: str = "once") -> None:
        """One input, acknowledged, and its turn, ended; or what children and forks do with one each."""
        command, word = new_ulid(), new_ulid()
        async with self._bounded(kind, command):
            match kind:
                case "children":
                    await self.kin.children([self._prompt("once", f"{word}{n}") for n in (1, 2)], command)
                case "forks":
                    await self.kin.forks([self._prompt("once", f"{word}{n}") for n in (1, 2)], command)
                case _:
                    await self._turn(command, kind, word)

    @asynccontextmanager
    async def _bounded(self, kind: str, command: str) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(WAIT_S):
                yield
        except TimeoutError as late:
            why = "".join(getattr(late.__cause__, "__notes__", ()))
            self.lost.append(f"{command} ({kind}; {await self._standing()}; {why})")
        else:
            self.turns += 1

    async def _turn(self, command: str, kind: str, word: str) -> None:
        steered = kind in {"cancelled", "paused"}
        what = self._random.choice(self._steered) if steered else kind
        receipt = await self._sent(command, what, self._prompt(what, word))
        if steered:
            await asyncio.sleep(self._random.uniform(0.0, STEERED_S))
            await self._steer(kind)
        if kind == "compacted":
            await sure(self.session, lambda: self.session.compact(timeout=WAIT_S, command_id=f"compact-{command}"))
        await sure(self.session, lambda: self._ended(receipt, cancelled=kind == "cancelled"))

    async def _sent(self, command: str, kind: str, text: str) -> Receipt:
        wanted = ANSWER if kind == "structured" else None

        def send() -> Awaitable[Receipt]:
            return self.session.send(text, command_id=command, output_type=wanted)

        if self._random.random() < 0.1:
            self.repeated += 1
            await impatient(send, self._random.uniform(0.0, IMPATIENT_S))
        receipt = await sure(self.session, send)
        self.acknowledged.append(command)
        if self._random.random() < 0.2:
            # As if the reply had been lost.
            self.repeated += 1
            again = await sure(self.session, send)
            assert again == receipt, "a repeated command has the first outcome"
        return receipt

    async def _steer(self, kind: str) -> None:
        self.steered += 1
        if kind == "cancelled":
            await sure(self.session, self.session.cancel)
            return
        await sure(self.session, self.session.pause)
        await asyncio.sleep(self._random.uniform(0.0, STEERED_S))
        await until_sure(self.session.resume)

    async def _ended(self, receipt: Receipt, *, cancelled: bool) -> None:
        try:
            await self.session.wait_turn(receipt, timeout=WAIT_S)
        except TurnFailed:
            if not cancelled:
                raise

    async def _standing(self) -> str:
        """How its session and those that it started stand."""
        found: list[str] = []
        for session in (self.session, *self.kin.born):
            info, actions = await until_sure(session.info), await until_sure(session.actions)
            last = await until_sure(lambda session=session, info=info: session.records(after=max(info.head_seq - 6, 0)))
            asked = [str(one.kind) for one in actions]
            found.append(f"{info.session_id} {info.state} {info.activity} {asked} {[one.type for one in last]}")
        return "; ".join(found)

    def _prompt(self, kind: str, word: str) -> str:
        return prompt(kind, word, self._files)

    async def history(self) -> History:
        """What a reader finds at the end."""
        return await history_of(self.session, self.acknowledged)

    async def children(self) -> dict[str, History]:
        """The same of its children, by journal id."""
        return {child.journal_id: await _settled(child) for child in self.kin.born}

    async def forks(self) -> list[History]:
        """The same of its forks."""
        return [await history_of(fork, inputs) for fork, inputs in self.kin.forked]


async def _settled(child: SessionHandle) -> History:
    """A child's history; one that was taken out of service is put back, and ends its turn."""
    async with asyncio.timeout(WAIT_S):
        while (info := await child.info()).open_turn is not None or info.state is SessionState.error:
            if info.state is SessionState.error:
                await until_sure(child.resume)
            await asyncio.sleep(AGAIN_S)
    return await history_of(child, [])


async def history_of(session: SessionHandle, acknowledged: list[str]) -> History:
    """A session's journal, whole."""
    records: list[r.RecordBase] = []
    while page := await session.records(after=len(records), limit=PAGE):
        records += page
    waits, spent = bool(await session.actions()), (await session.usage()).total
    artifacts = {one.artifact_id: await session.read_artifact(one) for one in await session.artifacts()}
    return History(session.session_id, records, acknowledged, waits=waits, spent=spent, artifacts=artifacts)
