"""What a user starts from a session: children that answer it, and forks that go on from it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from actors import SessionHandle, SessionManager
from actors.domain.children import ChildSpec
from actors.errors import GreenroomError
from tests.chaos.asking import AGAIN_S, sure, until_sure


class Kin:
    """The children and forks of one session.

    Attributes:
        born: The children.
        forked: The forks, each with the ids of its inputs.
    """

    def __init__(self, manager: SessionManager, session: SessionHandle) -> None:
        self.born: list[SessionHandle] = []
        self.forked: list[tuple[SessionHandle, list[str]]] = []
        self._manager = manager
        self._session = session

    async def children(self, prompts: Sequence[str], command: str) -> None:
        """Start a child with each of these tasks, and wait until all have answered."""
        parent = self._session.session_id
        specs = [ChildSpec(prompt=one, session_id=f"{parent}-{command}-{n}") for n, one in enumerate(prompts)]
        names = [str(spec.session_id) for spec in specs]
        await sure(self._session, lambda: self._session.spawn_many(specs, command_id=command))
        self.born += [await until_sure(lambda name=name: self._manager.get_session(name)) for name in names]
        await until_sure(lambda: self._session.wait_children(children=names))

    async def forks(self, prompts: Sequence[str], command: str) -> None:
        """Let forks go on with each of these, and wait until all have answered.

        One that was taken out of service, killed again and again without progress, is put back.
        """
        while True:
            try:
                results = await self._manager.fork_many(self._session.session_id, prompts, command_id=command)
            except GreenroomError:
                await asyncio.sleep(AGAIN_S)
                continue
            forks = [await until_sure(lambda one=one: self._manager.get_session(one.session_id)) for one in results]
            broken = [fork for fork, one in zip(forks, results, strict=True) if one.outcome != "completed"]
            for fork in broken:
                await until_sure(fork.resume)
            if not broken:
                self.forked += [(fork, [command]) for fork in forks]
                return
