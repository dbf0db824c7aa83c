"""What holds after any faults: each promise is a function from what was seen to the sentences that break it.

They know neither Ray nor the store, so that the unit tests can show each of them a history in which it is broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from actors.domain import records as r
from actors.domain.calls import Outcome


@dataclass(frozen=True)
class History:
    """One session as a reader found it.

    Attributes:
        acknowledged: Command ids of the inputs that were acknowledged.
        waits: Whether it waits for somebody's decision.
    """

    session_id: str
    records: Sequence[r.RecordBase]
    acknowledged: Sequence[str]
    waits: bool = False


def inputs_kept_once(history: History) -> list[str]:
    """Every acknowledged input is in its journal exactly once, and no other input is there twice."""
    found = Counter(one.cause for one in history.records if isinstance(one, r.UserMessage))
    broken = [
        f"{history.session_id}: acknowledged input {command} is in the journal {found[command]} times"
        for command in history.acknowledged
        if found[command] != 1
    ]
    extra = sorted(str(command) for command in found.keys() - set(history.acknowledged) if found[command] > 1)
    return broken + [
        f"{history.session_id}: input {command} is in the journal {found[command]} times" for command in extra
    ]


def gapless(history: History) -> list[str]:
    """Sequence numbers are 1, 2, 3 and so on, and epochs never go back."""
    broken = [
        f"{history.session_id}: record {place} has seq {one.seq}"
        for place, one in enumerate(history.records, start=1)
        if one.seq != place
    ]
    epochs = [one.epoch for one in history.records]
    return broken + ([f"{history.session_id}: epochs go back: {epochs}"] if epochs != sorted(epochs) else [])


def turns_ended(history: History) -> list[str]:
    """Every turn has one end; only the last may lack it, while the session waits for a decision."""
    ends = Counter(
        one.turn_id for one in history.records if isinstance(one, r.TurnCompleted | r.TurnFailed | r.TurnCancelled)
    )
    started = [one.turn_id for one in history.records if isinstance(one, r.TurnStarted)]
    broken: list[str] = []
    for turn in started:
        waits = history.waits and turn == started[-1] and ends[turn] == 0
        if ends[turn] != 1 and not waits:
            broken.append(f"{history.session_id}: turn {turn} has {ends[turn]} ends")
    return broken


def unsafe_ran_at_most_once(lines: Iterable[str]) -> list[str]:
    """No line that an unsafe tool appended is there twice."""
    return [f"unsafe tool ran {count} times for {word}" for word, count in Counter(lines).items() if count > 1]


def finished_words(history: History, tool: str) -> list[str]:
    """What the successful calls of a tool answered, by the journal."""
    return [
        str(one.data.content)
        for one in history.records
        if isinstance(one, r.ToolCallCompleted) and one.data.name == tool and one.data.outcome is Outcome.ok
    ]


def none_lost(session_id: str, commands: Iterable[str]) -> list[str]:
    """No input had to be given up waiting for."""
    return [f"{session_id}: the turn of input {command} did not end" for command in commands]


def finished_calls_ran(lines: Iterable[str], finished: Iterable[str]) -> list[str]:
    """What a journal says has run did run: the words of successful calls are in the file."""
    return [
        f"the journal says that {word} was appended, the file does not" for word in sorted(set(finished) - set(lines))
    ]


def nothing_left(left: Mapping[str, Sequence[str]]) -> list[str]:
    """No process, actor or row outlives its runtime; what was found, by kind."""
    return [f"{kind} left behind: {one}" for kind, found in left.items() for one in found]


def broken_by(history: History) -> list[str]:
    """All that one journal can break."""
    return inputs_kept_once(history) + gapless(history) + turns_ended(history)
