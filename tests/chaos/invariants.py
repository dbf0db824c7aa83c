"""What holds after any faults: each promise is a function from what was seen to the sentences that break it.

They know neither Ray nor the store, so that the unit tests can show each of them a history in which it is broken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.children import ChildOutcome
from actors.domain.messages import TokenUsage
from actors.domain.usage import Spent

COMPACTING = r.SessionCompacting | r.SessionCompacted | r.SessionCompactionFailed


@dataclass(frozen=True)
class History:
    """One session as a reader found it.

    Attributes:
        acknowledged: Command ids of the inputs that were acknowledged.
        waits: Whether it waits for somebody's decision.
        artifacts: Its large results as they can be read, by id.
        spent: What its own model calls took, as it says itself.
    """

    session_id: str
    records: Sequence[r.RecordBase]
    acknowledged: Sequence[str]
    waits: bool = False
    spent: Spent = Spent()
    artifacts: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    @property
    def own(self) -> Sequence[r.RecordBase]:
        """The records that it does not share with the session it was forked from."""
        return self.records[self.shared :]

    @property
    def shared(self) -> int:
        """How many records it shares."""
        forked = [place for place, one in enumerate(self.records) if isinstance(one, r.SessionForked)]
        return forked[-1] if forked else 0


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


def usage_is_that_of_the_calls(history: History) -> list[str]:
    """Each model call that its journal holds counts once, and no other does."""
    answered = [one.data.usage for one in history.own if isinstance(one, r.ModelCallCompleted)]
    failed = [
        one.data.usage for one in history.own if isinstance(one, r.ModelCallFailed) and one.data.usage.total_tokens
    ]
    tokens = sum((answered + failed), TokenUsage())
    same = history.spent.calls == len(answered) + len(failed) and history.spent.usage == tokens
    told = f"{history.spent.calls} calls and {history.spent.usage.total_tokens} tokens"
    found = f"{len(answered) + len(failed)} and {tokens.total_tokens}"
    return [] if same else [f"{history.session_id}: it says that it took {told}, its journal says {found}"]


def compactions_ended(history: History) -> list[str]:
    """Each compaction that began has one end before the next begins."""
    marks = [one for one in history.records if isinstance(one, COMPACTING)]
    begun = [isinstance(one, r.SessionCompacting) for one in marks]
    same = begun == [place % 2 == 0 for place in range(len(begun))] and len(begun) % 2 == 0
    return [] if same else [f"{history.session_id}: compactions: {[one.type for one in marks]}"]


def unsafe_ran_at_most_once(lines: Iterable[str]) -> list[str]:
    """No line that an unsafe tool appended is there twice."""
    return [f"unsafe tool ran {count} times for {word}" for word, count in Counter(lines).items() if count > 1]


def finished_words(history: History, tools: Collection[str]) -> list[str]:
    """What the successful calls of some tools answered, by the journal."""
    return [
        str(one.data.content).strip()
        for one in history.records
        if isinstance(one, r.ToolCallCompleted) and one.data.name in tools and one.data.outcome is Outcome.ok
    ]


def none_lost(session_id: str, commands: Iterable[str]) -> list[str]:
    """No input had to be given up waiting for."""
    return [f"{session_id}: the turn of input {command} did not end" for command in commands]


def finished_calls_ran(lines: Iterable[str], finished: Iterable[str]) -> list[str]:
    """What a journal says has run did run: the words of successful calls are in the file."""
    return [
        f"the journal says that {word} was appended, the file does not" for word in sorted(set(finished) - set(lines))
    ]


def children_told_once(parent: History, kin: Mapping[str, History]) -> list[str]:
    """Each child with a task has told its parent once what became of it, and said what its own journal says.

    Args:
        kin: The children's histories by journal id.
    """
    told = [one.data for one in parent.own if isinstance(one, r.ChildCompleted)]
    times = Counter(one.child_journal_id for one in told)
    tasks = {one.data.child_journal_id for one in parent.own if isinstance(one, r.ChildStarted) and one.data.task}
    broken = [
        f"{parent.session_id}: child {child} has told {times[child]} times what became of its task"
        for child in sorted(tasks | times.keys())
        if times[child] != (child in tasks)
    ]
    for one in told:
        if one.child_journal_id not in kin:
            broken.append(
                f"{parent.session_id}: child {one.child_id} told, but whoever started it never heard that it was"
            )
            continue
        texts = [end.data.text for end in kin[one.child_journal_id].own if isinstance(end, r.TurnCompleted)]
        if one.outcome is ChildOutcome.completed and texts != [one.text]:
            broken.append(f"{parent.session_id}: child {one.child_id} told {one.text!r}, its journal says {texts}")
    return broken


def shares_the_beginning(source: History, fork: History) -> list[str]:
    """A fork begins with its source's records, as they are."""
    same = fork.shared > 0 and list(fork.records[: fork.shared]) == list(source.records[: fork.shared])
    return [] if same else [f"{fork.session_id}: its beginning is not that of {source.session_id}"]


def unchanged(before: History, after: History) -> list[str]:
    """A journal is as it was, whatever became of its family."""
    same = list(before.records) == list(after.records)
    return [] if same else [f"{before.session_id}: its journal has changed"]


def read_in_order(history: History, seen: Sequence[int]) -> list[str]:
    """Who read along, and came back by cursor, has seen each record once, in order, up to some place."""
    same = list(seen) == list(range(1, len(seen) + 1)) and len(seen) <= len(history.records)
    return [] if same else [f"{history.session_id}: a reader has seen {_gaps(seen)}"]


def _gaps(seen: Sequence[int]) -> str:
    return ", ".join(f"{one} after {before}" for before, one in pairwise((0, *seen)) if one != before + 1)


def nothing_left(left: Mapping[str, Sequence[str]]) -> list[str]:
    """No process, actor, socket, object or row outlives its runtime; what was found, by kind."""
    return [f"{kind} left behind: {one}" for kind, found in left.items() for one in found]


def broken_by(history: History) -> list[str]:
    """All that one journal can break."""
    promises = (inputs_kept_once, gapless, turns_ended, usage_is_that_of_the_calls, compactions_ended)
    return [broken for promise in promises for broken in promise(history)]
