"""One life of a session whose tool asks, written so that it can be lived again: ``python -m ... FOLDER WHOM``.

It asks people, or a model. Whoever lives it anew on the same database repeats what was done, and goes on with what was
not.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from actors.domain.actions import ActionKind
from actors.domain.llm import LlmConfig
from actors.domain.session import Activity, SessionConfig
from actors.errors import ActionNotFound, ActionSettled
from actors.handle import SessionHandle
from actors.manager import SessionManager
from tests.unit.local.faulted import sure, until_idle
from tests.unit.local.runtimes import calls, config, says
from tests.unit.mcp.servers import raw

PEOPLE, MODEL = "people", "model"
ANSWERED = {PEOPLE: '[{"action": "accept", "content": {"name": "Ada"}}]', MODEL: "by a model"}


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[SessionManager]:
    """A runtime on the folder's database, with the server."""
    manager = await SessionManager.local(store=f"sqlite:///{folder / 'sessions.db'}")
    try:
        await sure(lambda: manager.add_mcp_server(raw(str(folder / "cancelled"), sampling="allow")))
        yield manager
    finally:
        await manager.close()


def _life(folder: Path, whom: str) -> tuple[SessionConfig, str]:
    """A session, and what it is told."""
    args: dict[str, Any] = {"file": str(folder / "asked")}
    if whom == PEOPLE:
        return config(calls(("mcp__raw__ask", args)), says("Done.")), "go"
    said = {"role": "user", "content": {"type": "text", "text": "/say by a model"}}
    args |= {"method": "sampling/createMessage", "params": {"messages": [said], "maxTokens": 9}}
    chosen = config().model_copy(update={"model": LlmConfig.of("scripted/prompt")})
    return chosen, f"/tool mcp__raw__ask {json.dumps(args)}\n/say Done."


async def live(manager: SessionManager, folder: Path, whom: str = PEOPLE) -> SessionHandle:
    """See the one turn through: its question is answered, and what may have run is not run again."""
    chosen, told = _life(folder, whom)
    session = (await sure(lambda: manager.create_sessions(["s"], chosen, command_id="c")))[0]
    await sure(lambda: session.send(told, command_id="go"))

    async def answer(activity: Activity) -> None:
        for action in await session.actions() if activity is Activity.requires_action else ():
            asked = action.kind is ActionKind.input
            how, content = ("accept", {"name": "Ada"}) if asked else ("skip", None)
            try:
                await sure(
                    lambda action=action, how=how, content=content: session.resolve_action(
                        action.action_id, how, content=content
                    )
                )
            except (ActionNotFound, ActionSettled):
                continue

    await until_idle(session, answer)
    return session


async def _main(folder: Path, whom: str) -> None:
    async with opened(folder) as manager:
        await live(manager, folder, whom)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2]))
