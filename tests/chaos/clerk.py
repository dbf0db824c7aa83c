"""Somebody who decides what sessions ask: from the inbox over all of them, sooner or later."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from actors import SessionManager
from actors.domain.actions import Action, ActionKind
from actors.errors import GreenroomError

ROUND_S = 0.3
"""Between two looks at the inbox, in seconds."""

LATER, MUCH_LATER = 0.4, 0.7
"""How often a question is left for the next look, and one of a tool: some sessions have hibernated when it is answered,
and what keeps the call open was hit meanwhile."""

PAGE = 1000

TRY_S = 30.0
"""Longest try of one answer, or of one task; then it is tried again, beside the others."""


class Clerk:
    """Approves what asks to run, here or in an empty directory, and never lets a call in doubt run again.

    Of the questions of tools it accepts most, each with its id for a name, and declines or cancels the others.

    Attributes:
        decided: How many answers were given.
    """

    def __init__(self, manager: SessionManager, seed: int) -> None:
        self.decided = 0
        self._trying: set[str] = set()
        self._manager = manager
        self._random = random.Random(seed)

    async def work(self) -> None:
        """Decide until cancelled."""
        async with asyncio.TaskGroup() as tries:
            while True:
                # Where it lost its session, or the answer, or somebody was faster, it is seen at the next look.
                with suppress(GreenroomError):
                    for action in (await self._manager.actions(limit=PAGE)).items:
                        if self._is_due(action):
                            # Beside the others: a session that finds no place for a while does not hold them up.
                            self._trying.add(action.action_id)
                            tries.create_task(self._try(action))
                await asyncio.sleep(ROUND_S)

    def _is_due(self, action: Action) -> bool:
        if action.kind is ActionKind.external_task or action.action_id in self._trying:
            return False
        return self._random.random() > (MUCH_LATER if action.kind is ActionKind.input else LATER)

    async def _try(self, action: Action) -> None:
        try:
            with suppress(GreenroomError, TimeoutError):
                async with asyncio.timeout(TRY_S):
                    await self._decide(action)
        finally:
            self._trying.discard(action.action_id)

    async def _decide(self, action: Action) -> None:
        choice = "skip" if action.kind is ActionKind.in_doubt else "approve"
        if action.kind is ActionKind.input:
            choice = self._random.choices(("accept", "decline", "cancel"), (6, 1, 1))[0]
        content = {"name": action.action_id} if choice == "accept" else None
        await self._manager.resolve_action(action.session_id, action.action_id, choice, content=content)
        self.decided += 1
