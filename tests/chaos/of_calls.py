"""What holds of single calls after any faults: their questions, their output, their large results.

As ``invariants``: functions from what was seen to the sentences that break a promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

from actors.domain import records as r
from actors.domain.actions import ActionKind, Resolution
from actors.mcp.names import PREFIX
from tests.chaos.invariants import History


def questions_settled_once(history: History) -> list[str]:
    """Each question is settled once; only a session that waits may have some that are not."""
    asked = Counter(one.data.action_id for one in history.records if isinstance(one, r.ActionRequested))
    settled = Counter(one.data.action_id for one in history.records if isinstance(one, r.ActionResolved))
    broken = [action for action in sorted(asked | settled) if (asked[action], settled[action]) != (1, 1)]
    return [
        f"{history.session_id}: action {action} was asked {asked[action]} times and settled {settled[action]} times"
        for action in broken
        if not (history.waits and (asked[action], settled[action]) == (1, 0))
    ]


def accepted(history: History) -> list[str]:
    """The questions of tools that somebody accepted."""
    asked = {
        one.data.action_id
        for one in history.records
        if isinstance(one, r.ActionRequested) and one.data.kind is ActionKind.input
    }
    return [
        one.data.action_id
        for one in history.records
        if isinstance(one, r.ActionResolved)
        and one.data.action_id in asked
        and one.data.resolution is Resolution.accept
    ]


def answers_taken_once(taken: Iterable[str], given: Iterable[str]) -> list[str]:
    """No tool was given an answer twice, or one that no journal holds."""
    counts, known = Counter(taken), set(given)
    return [f"answer {one} reached its tool {count} times" for one, count in counts.items() if count > 1] + [
        f"answer {one} reached a tool, and no journal holds it" for one in sorted(counts.keys() - known)
    ]


def pieces_in_order(history: History, tool: str) -> list[str]:
    """What is recorded of a tool's pieces has each of them once, in order, whatever became of its attempts."""
    broken: list[str] = []
    for one in history.records:
        if not isinstance(one, r.ToolCallCompleted) or one.data.name != tool:
            continue
        numbers = [int(line.split()[1]) for line in str(one.data.content).splitlines() if _is_piece(line)]
        if numbers != list(range(len(numbers))):
            broken.append(f"{history.session_id}: call {one.data.call_id} has pieces {numbers}")
    return broken


def _is_piece(line: str) -> bool:
    words = line.split()
    return len(words) == 2 and words[1].isdecimal()


def artifacts_whole(history: History) -> list[str]:
    """Each large result that is named can be read and is what the tool gave; no other is there."""
    named = {
        one.data.artifact.artifact_id: one.data.artifact
        for one in history.records
        if isinstance(one, r.ToolCallCompleted) and one.data.artifact is not None
    }
    broken = [
        f"{history.session_id}: artifact {one} is {'not named' if one in history.artifacts else 'not there'}"
        for one in sorted(named.keys() ^ history.artifacts.keys())
    ]
    for name in sorted(named.keys() & history.artifacts.keys()):
        raw, told = history.artifacts[name], named[name]
        if (len(raw), sha256(raw).hexdigest()) != (told.size, told.digest) or len(set(raw.splitlines())) != 1:
            broken.append(f"{history.session_id}: artifact {name} is not what its tool gave")
    return broken


def broken_in(history: History, slow: str) -> list[str]:
    """All that the calls of one journal can break; ``slow`` is the tool that gives its result in pieces."""
    return [*questions_settled_once(history), *pieces_in_order(history, slow), *artifacts_whole(history)]


def counted(history: History) -> tuple[int, int, int]:
    """Calls of MCP servers that began, questions of tools, and large results."""
    began = [one for one in history.own if isinstance(one, r.ToolCallStarted)]
    asked = [one for one in history.own if isinstance(one, r.ActionRequested) and one.data.kind is ActionKind.input]
    return sum(one.data.name.startswith(PREFIX) for one in began), len(asked), len(history.artifacts)
