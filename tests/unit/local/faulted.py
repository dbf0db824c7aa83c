"""One life of a session that passes every place of ``actors.faults``, written so that it can be lived again.

Each command carries an id of its own, so whoever lives it anew on the same database, after whatever happened, repeats
what was done and goes on with what was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.budgets import Budget
from actors.domain.children import ChildSpec
from actors.domain.permissions import PermissionPolicy
from actors.domain.session import Activity
from actors.errors import ActionNotFound, ActionSettled, GreenroomError, SessionNotFound
from actors.faults import Fault, Point, What
from actors.handle import SessionHandle
from actors.manager import SessionManager
from actors.session.committer import Committer
from actors.settings import Settings
from actors.tools.function import tool
from tests.unit.local.runtimes import asking

ACTED: Final = ("first", "second")
"""What the unsafe tool is asked to write, one line in each of two turns."""

EDITS: Final = ("edit-1", "edit-2")
"""The inputs whose turns change a file, in a way that shows when it was done twice."""

CALLS: Final = 1000
"""Tool calls that the session and its children may make; the children make none."""

CHILDREN: Final = ("c1", "c2")
"""Sessions that are started with a task, one after the other, each with a part of what is left of the calls."""

FORKS: Final = ("fork-1", "fork-2")
"""Sessions that are forked off the one, and destroyed."""

HELD: Final = ("hold-1", "hold-2")
"""The inputs whose turns are cancelled."""

T = TypeVar("T")


def with_lost_requests(*given: Fault) -> tuple[Fault, ...]:
    """Some faults, and two calls whose first request is lost: a session asks for those again with ``attach``."""
    lost = (Fault(Point.run_before, nth, What.fail) for nth in (1, 2))
    return (*given, *(one for one in lost if all(other.point is not one.point for other in given)))


def large(what: str) -> str:
    """What the unsafe tool gives: more than a model is shown."""
    return f"acted: {what}\n" * 10_000


def _tools(folder: Path) -> list[Any]:
    @tool(name="act", effect="unsafe")
    def act(what: str) -> Generator[str, None, str]:
        """Write a line that cannot be taken back, and tell of it by and by."""
        with (folder / "acted").open("a") as file:
            file.write(f"{what}\n")
        yield "half of it"
        return large(what)

    @tool(name="hold", effect="pure")
    async def hold() -> str:
        """Wait until cancelled."""
        await asyncio.Event().wait()
        return "held"

    return [act, hold]


def acted(folder: Path) -> list[str]:
    """What the unsafe tool did."""
    file = folder / "acted"
    return file.read_text().splitlines() if file.exists() else []


def edited(folder: Path) -> str:
    """The file that is changed: one more ``+`` for each time it was."""
    return (folder / "notes").read_text()


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[SessionManager]:
    """A runtime on the folder's database, with the file that is changed."""
    notes = folder / "notes"
    if not notes.exists():
        notes.write_text("!")
    settings = Settings(workspace=str(folder))
    url = f"sqlite:///{folder / 'sessions.db'}"
    manager = await SessionManager.local("scripted/prompt", store=url, settings=settings, tools=_tools(folder))
    try:
        yield manager
    finally:
        await manager.close()


async def live(manager: SessionManager) -> SessionHandle:
    """Live the whole life, or what is left of it. The second call that runs is the first of the unsafe tool."""
    policy = PermissionPolicy(allow=["hold", "edit"])
    config = asking(permission_policy=policy, budget=Budget(tool_calls=CALLS))
    session = (await sure(lambda: manager.create_sessions(["s"], config, command_id="c")))[0]
    for what in ACTED:
        prompt = f'/tool act {{"what": "{what}"}}\n/say Done.'
        await sure(lambda what=what, prompt=prompt: session.send(prompt, command_id=what))
        await _through(session)
        while not await session.hibernate():  # noqa: ASYNC110 - no event tells of it
            # Its record can be read a moment before the session is done with it.
            await asyncio.sleep(0)
    for name in EDITS:
        prompt = '/tool edit {"file_path": "notes", "old_string": "!", "new_string": "!+"}\n/say Done.'
        await sure(lambda name=name, prompt=prompt: session.send(prompt, command_id=name))
        await _through(session)
    for child in CHILDREN:
        # One after the other: answers that come together are delivered together.
        spec = ChildSpec(prompt="/say Done.", session_id=child)
        await sure(lambda spec=spec: session.spawn_many([spec], command_id=str(spec.session_id)))
        await session.wait_children()
    await _all_given_back(session)
    for name in HELD:
        await sure(lambda name=name: session.send("/tool hold {}\n/say Held.", command_id=name))
        await _cancelled(session)
    for name in FORKS:
        await _forked_and_destroyed(manager, name)
    return session


async def _all_given_back(session: SessionHandle) -> None:
    """What the children had comes back, once each."""
    back = 0
    async with aclosing(session.events(follow=True, deltas=False)) as events:  # pyright: ignore[reportArgumentType] - it is an async generator
        async for event in events:
            back += isinstance(event, r.LeaseReturned)
            if back == len(CHILDREN):
                return


async def _forked_and_destroyed(manager: SessionManager, name: str) -> None:
    try:
        fork = await sure(lambda: manager.fork_session("s", name, command_id=name))
    except SessionNotFound:
        return  # It was destroyed before.
    assert await fork.history() == await (await manager.get_session("s")).history()
    await sure(lambda: manager.destroy_session(name, command_id=f"destroy-{name}"))


PATIENCE_S = 2.0
"""How long callers wait for an answer before they ask again."""


async def sure(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again when it is not known what came of it: each command has an id."""
    while True:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await ask()
        except TimeoutError:
            continue
        except GreenroomError as exc:
            if not exc.retryable:
                raise


async def until_idle(session: SessionHandle, step: Callable[[Activity], Awaitable[Any]]) -> None:
    """Take a step after each record, until the turn is over."""
    while (info := await session.info()).activity is not Activity.idle:
        await step(info.activity)
        async with aclosing(session.events(after=info.head_seq, follow=True, deltas=False)) as events:  # pyright: ignore[reportArgumentType] - it is an async generator
            async for _ in events:
                break


async def _through(session: SessionHandle) -> None:
    """See the turn through: calls are approved, and what may have run is not run again."""

    async def decide(activity: Activity) -> None:
        if activity is Activity.requires_action:
            await _resolve(session)

    await until_idle(session, decide)


async def _resolve(session: SessionHandle) -> None:
    for action in await session.actions():
        assert action.tool != "edit", "whether a file was changed can be seen"
        answer = "approve" if action.kind is ActionKind.approval else "skip"
        try:
            await sure(lambda action=action, answer=answer: session.resolve_action(action.action_id, answer))
        except (ActionNotFound, ActionSettled):
            continue


async def _cancelled(session: SessionHandle) -> None:
    """Cancel the turn as soon as its tool runs; one that is over stays as it is."""

    async def cancel(_: Activity) -> None:
        if any(isinstance(one, r.ToolCallStarted) for one in await session.records(after=begun, limit=100)):
            await sure(session.cancel)

    begun = max(one.seq for one in await session.records(limit=1000) if isinstance(one, r.UserMessage))
    await until_idle(session, cancel)


def snapshot_always() -> None:
    """Sessions of this process write a snapshot at each release."""
    assert Committer.snapshot.__kwdefaults__ is not None
    Committer.snapshot.__kwdefaults__["threshold"] = 1
