"""Alternatives side by side: prompts for forks of one place, and which of them is kept.

Above is ``manager_forks``, which makes the forks and cleans up; below are handles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from actors.domain.base import Frozen
from actors.domain.messages import TokenUsage
from actors.errors import GreenroomError, InvalidRequest, SessionNotFound, TurnFailed, TurnPending
from actors.handle import SessionHandle


class ForkResult(Frozen):
    """What became of one fork.

    Attributes:
        outcome: ``pending``: there was no answer in time. ``lost``: another one was kept.
        text: Its answer.
        code: Why there is no answer; ``error``: the same as a sentence.
        usage: Of its turn.
        kept: Whether the session is still there.
    """

    session_id: str
    outcome: Literal["completed", "failed", "pending", "lost"]
    text: str = ""
    code: str = ""
    error: str = ""
    usage: TokenUsage = TokenUsage()
    kept: bool = True


Join = Literal["all", "first"] | Callable[[Sequence[ForkResult]], int | None]
"""Which forks are kept: all, the first that completes, or the one at the index that a function returns."""


def checked_join(join: Join) -> Join:
    """Which forks are to be kept, looked at before there are any.

    Raises:
        InvalidRequest: it is neither of the two words nor a function.
    """
    if join not in ("all", "first") and not callable(join):
        raise InvalidRequest(f"join is 'all', 'first' or a function of the results, not {str(join)[:100]!r}.")
    return join


NOBODY = -1
"""The index of no fork: all are cleaned up."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A fork and its prompt; ``handle`` is None when an earlier call has cleaned it up."""

    session_id: str
    handle: SessionHandle | None
    prompt: str


async def joined(
    alternatives: Sequence[Alternative], join: Join, timeout: float | None, cause: str
) -> tuple[tuple[ForkResult, ...], int | None]:
    """Prompt all, wait as ``join`` says, and choose.

    Returns:
        What became of each, and the index of the one to keep: ``NOBODY`` for none, None for all.
    """
    tasks = [asyncio.ensure_future(_answer(one, timeout, cause)) for one in alternatives]
    try:
        if join == "first":
            results, kept = await _first(alternatives, tasks)
        else:
            results = [await task for task in tasks]
            chosen = None if join == "all" else join(tuple(results))
            kept = None if join == "all" else _checked(chosen, len(results))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if kept is None:
        return tuple(results), None
    return tuple(one.model_copy(update={"kept": place == kept}) for place, one in enumerate(results)), kept


def _checked(chosen: int | None, count: int) -> int:
    if chosen is None:
        return NOBODY
    if chosen not in range(count):
        raise ValueError(f"the chooser returned {chosen!r}, which is no index of {count} results")
    return chosen


async def _first(
    alternatives: Sequence[Alternative], tasks: Sequence[asyncio.Future[ForkResult]]
) -> tuple[list[ForkResult], int | None]:
    waiting = set(tasks)
    winner = NOBODY
    while waiting and winner == NOBODY:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        good = [tasks.index(task) for task in done if task.result().outcome == "completed"]
        winner = min(good, default=NOBODY)
    lost = [ForkResult(session_id=one.session_id, outcome="lost") for one in alternatives]
    results = [task.result() if task.done() else lost[place] for place, task in enumerate(tasks)]
    undecided = winner == NOBODY and any(one.outcome == "pending" for one in results)
    return results, None if undecided else winner


async def _answer(one: Alternative, timeout: float | None, cause: str) -> ForkResult:
    name = one.session_id
    try:
        if one.handle is None:
            raise SessionNotFound(name)
        result = await one.handle.generate(one.prompt, timeout=timeout, command_id=cause)
    except SessionNotFound:
        return ForkResult(session_id=name, outcome="lost", kept=False)
    except TurnPending:
        return ForkResult(session_id=name, outcome="pending")
    except GreenroomError as exc:
        code = exc.error_code if isinstance(exc, TurnFailed) else type(exc).__name__
        return ForkResult(session_id=name, outcome="failed", code=code, error=exc.message)
    return ForkResult(session_id=name, outcome="completed", text=result.text, usage=result.usage)
