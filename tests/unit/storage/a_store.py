"""A store in which real sessions have left something of every kind: records, blobs, snapshots, an action, results."""

from __future__ import annotations

from contextlib import closing

from actors import SessionManager
from actors.domain.journal import StoredResult
from actors.domain.messages import Message
from actors.domain.session import SessionConfig
from actors.errors import TurnPending
from actors.session.committer import SNAPSHOT_AT_RELEASE
from actors.storage.open import open_backend
from tests.unit.local.runtimes import LIMIT_S, asking, calls, says

LARGE = "large " * 20_000


async def fill(store: str) -> None:
    """Make the store that a URL names."""
    async with await SessionManager.local("scripted/echo", store=store) as manager:
        talking = await manager.create_session("talking", SessionConfig(name="Talking"))
        await talking.generate(Message.user(LARGE), timeout=LIMIT_S)
        for number in range(SNAPSHOT_AT_RELEASE // 5 + 1):
            await talking.generate(f"number {number}", timeout=LIMIT_S)
        await talking.hibernate()
        waiting = await manager.create_session("waiting", asking(calls(("ls", {})), says("Done.")))
        receipt = await waiting.send("go")
        try:
            await waiting.wait_turn(receipt, timeout=LIMIT_S, until_action=True)
        except TurnPending:
            await waiting.hibernate()
        child = await manager.create_child_session("talking", "child", SessionConfig())
        await child.generate("hello", timeout=LIMIT_S)
        asking_children = await manager.create_session("parent")
        await asking_children.spawn_many([LARGE])
        await asking_children.wait_children()
        overflowing = talking.journal_id
    # No call of theirs overflows by itself.
    with closing(open_backend(store)) as backend:
        backend.put_result(manager.tenant, overflowing, StoredResult(f"{overflowing}:1:3", 1, b"{}"))
