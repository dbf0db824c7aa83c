"""An independent user under whom things break: sends inputs, repeats them when unsure, waits for their turns."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from actors import PermissionPolicy, Receipt, SessionConfig, SessionHandle, SessionManager
from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.ids import new_ulid
from actors.domain.permissions import PermissionDecision, PermissionRule
from actors.domain.policies import OnInDoubt
from actors.errors import GreenroomError, SessionEnded, TurnPending
from tests.chaos.invariants import History

WAIT_S = 120.0
"""Longest wait for one turn to end, over all its recoveries: beyond it, the turn counts as lost."""

AGAIN_S = 0.1
"""Breath before the same is asked again, in seconds."""

PAGE = 1000

T = TypeVar("T")

ASKS = PermissionPolicy(ask=(PermissionRule("append_once"),), default_decision=PermissionDecision.allow)
"""Lets all run but the unsafe tool, which it asks about."""


class User:
    """One session and whoever talks to it.

    Args:
        files: Where its tools append: ``once`` for the unsafe one, ``again`` for the idempotent one.
        seed: What it says, in which order.
    """

    def __init__(self, session: SessionHandle, files: Path, seed: int) -> None:
        self.session = session
        self.turns = 0
        self.repeated = 0
        self.acknowledged: list[str] = []
        self.lost: list[str] = []
        self._files = files
        self._random = random.Random(seed)

    @classmethod
    async def enter(cls, manager: SessionManager, name: str, files: Path, seed: int) -> User:
        """Make the session.

        Every other asks about calls in doubt, the rest tell the model; every third asks before the unsafe tool.
        """
        doubt = OnInDoubt.report if seed % 2 else OnInDoubt.ask
        policy = ASKS if seed % 3 == 0 else PermissionPolicy.permissive()
        config = SessionConfig(permission_policy=policy, on_in_doubt=doubt)
        command = new_ulid()
        created = await _until_sure(lambda: manager.create_session(name, config, command_id=command))
        return cls(created, files, seed)

    async def talk(self, over: asyncio.Event) -> None:
        """Turn after turn, until it is over; the turn under way is still waited for."""
        while not over.is_set():
            await self.turn()

    async def turn(self) -> None:
        """One input, acknowledged, and its turn, ended."""
        command, word = new_ulid(), new_ulid()
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turn(command, self._prompt(word))
        except TimeoutError:
            self.lost.append(command)
            return
        self.turns += 1

    async def _turn(self, command: str, prompt: str) -> None:
        receipt = await self._sure(lambda: self.session.send(prompt, command_id=command))
        self.acknowledged.append(command)
        if self._random.random() < 0.2:
            # As if the reply had been lost.
            self.repeated += 1
            again = await self._sure(lambda: self.session.send(prompt, command_id=command))
            assert again == receipt, "a repeated command has the first outcome"
        await self._sure(lambda: self._ended(receipt))

    def _prompt(self, word: str) -> str:
        kind = self._random.choice(("plain", "once", "once", "again"))
        if kind == "plain":
            return f"said {word}"
        call = json.dumps({"path": str(self._files / kind), "word": word})
        return f"/tool append_{kind} {call}\ndone {word}"

    async def _ended(self, receipt: Receipt) -> None:
        while True:
            try:
                await self.session.wait_turn(receipt, timeout=WAIT_S, until_action=True)
                return
            except TurnPending:
                for action in await self.session.actions():
                    choice = "approve" if action.kind is ActionKind.approval else "skip"
                    await self.session.resolve_action(action.action_id, choice)

    async def _sure(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await _until_sure(ask)
            except SessionEnded:
                # Killed again and again without progress, it was taken out of service.
                await _until_sure(self.session.resume)

    async def history(self) -> History:
        """What a reader finds at the end."""
        records: list[r.RecordBase] = []
        while page := await self.session.records(after=len(records), limit=PAGE):
            records += page
        return History(self.session.session_id, records, self.acknowledged, waits=bool(await self.session.actions()))


async def _until_sure(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer; what was asked has an identity."""
    while True:
        try:
            return await ask()
        except SessionEnded:
            raise
        except GreenroomError:
            await asyncio.sleep(AGAIN_S)
