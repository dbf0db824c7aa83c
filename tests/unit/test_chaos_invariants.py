"""The counter of the chaos suite counts: each promise, shown to it broken in a made-up history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from actors.domain import records as r
from actors.domain.children import ChildOutcome, ChildReport
from actors.domain.compaction import Compacting, CompactionReason
from actors.domain.messages import Message, StopReason, TokenUsage
from actors.domain.usage import Spent
from tests.chaos import invariants as i

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _heard(seq: int, command: str, *, epoch: int = 1) -> r.UserMessage:
    data = r.UserMessage.Data(input_id=command, message=Message.user("hello"))
    return r.UserMessage(seq=seq, session_id="s", at=NOW, epoch=epoch, cause=command, data=data)


def _began(seq: int, turn: str, *, epoch: int = 1) -> r.TurnStarted:
    data = r.TurnStarted.Data(inputs=("c1",))
    return r.TurnStarted(seq=seq, session_id="s", turn_id=turn, at=NOW, epoch=epoch, data=data)


def _ended(seq: int, turn: str, *, epoch: int = 1) -> r.TurnCompleted:
    data = r.TurnCompleted.Data(text="hello")
    return r.TurnCompleted(seq=seq, session_id="s", turn_id=turn, at=NOW, epoch=epoch, data=data)


def _answered(seq: int, usage: TokenUsage) -> r.ModelCallCompleted:
    data = r.ModelCallCompleted.Data(
        call_id="c", attempt=1, message=Message.assistant("hello"), stop_reason=StopReason.end_turn, usage=usage
    )
    return r.ModelCallCompleted(seq=seq, session_id="s", turn_id="t1", at=NOW, epoch=1, data=data)


def _compacting(seq: int) -> r.SessionCompacting:
    data = Compacting(reason=CompactionReason.manual, window=1000)
    return r.SessionCompacting(seq=seq, session_id="s", at=NOW, epoch=1, data=data)


def _not_compacted(seq: int) -> r.SessionCompactionFailed:
    data = r.SessionCompactionFailed.Data(reason=CompactionReason.manual, code="Cancelled", message="cancelled")
    return r.SessionCompactionFailed(seq=seq, session_id="s", at=NOW, epoch=1, data=data)


def _history(
    *records: r.RecordBase, acknowledged: Sequence[str] = (), waits: bool = False, spent: Spent | None = None
) -> i.History:
    return i.History("s", records, acknowledged, waits, spent or Spent())


TOOK = TokenUsage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def test_a_history_that_keeps_every_promise_has_no_violations() -> None:
    begun = (_heard(1, "c1"), _began(2, "t1"), _compacting(3), _not_compacted(4), _answered(5, TOOK))
    spent = Spent(calls=1, usage=TOOK)
    whole = _history(*begun, _ended(6, "t1", epoch=2), acknowledged=["c1"], spent=spent)
    assert i.broken_by(whole) == []


@pytest.mark.parametrize(
    ("promise", "history"),
    [
        (i.inputs_kept_once, _history(acknowledged=["c1"])),
        (i.inputs_kept_once, _history(_heard(1, "c1"), _heard(2, "c1"), acknowledged=["c1"])),
        (i.inputs_kept_once, _history(_heard(1, "c1"), _heard(2, "c1"))),
        (i.gapless, _history(_heard(1, "c1"), _heard(3, "c2"))),
        (i.gapless, _history(_heard(1, "c1"), _heard(1, "c2"))),
        (i.gapless, _history(_heard(1, "c1", epoch=2), _heard(2, "c2", epoch=1))),
        (i.turns_ended, _history(_began(1, "t1"))),
        (i.turns_ended, _history(_began(1, "t1"), _began(2, "t2"), _ended(3, "t2"), waits=True)),
        (i.turns_ended, _history(_began(1, "t1"), _ended(2, "t1"), _ended(3, "t1"))),
        (i.usage_is_that_of_the_calls, _history(_answered(1, TOOK))),
        (i.usage_is_that_of_the_calls, _history(_answered(1, TOOK), spent=Spent(calls=2, usage=TOOK))),
        (i.usage_is_that_of_the_calls, _history(_answered(1, TOOK), spent=Spent(calls=1, usage=TOOK + TOOK))),
        (i.compactions_ended, _history(_compacting(1))),
        (i.compactions_ended, _history(_compacting(1), _compacting(2), _not_compacted(3), _not_compacted(4))),
        (i.compactions_ended, _history(_compacting(1), _not_compacted(2), _not_compacted(3))),
    ],
    ids=[
        "input lost",
        "input twice",
        "unacknowledged input twice",
        "gap",
        "number twice",
        "older writer",
        "open turn",
        "open turn before the last",
        "two ends",
        "call not counted",
        "call counted twice",
        "tokens counted twice",
        "open compaction",
        "two compactions at once",
        "compaction with two ends",
    ],
)
def test_a_broken_journal_is_found(promise: Callable[[i.History], list[str]], history: i.History) -> None:
    assert len(promise(history)) == 1
    assert promise(history)[0] in i.broken_by(history)


def test_an_open_turn_may_wait_for_a_decision() -> None:
    assert i.turns_ended(_history(_began(1, "t1"), waits=True)) == []


def _asked(seq: int, child: str, *, task: bool = True) -> r.ChildStarted:
    data = r.ChildStarted.Data(child_id=child, child_journal_id=f"j-{child}", task=task)
    return r.ChildStarted(seq=seq, session_id="s", at=NOW, epoch=1, data=data)


def _told(
    seq: int, child: str, text: str = "hello", outcome: ChildOutcome = ChildOutcome.completed
) -> r.ChildCompleted:
    data = ChildReport(child_id=child, child_journal_id=f"j-{child}", outcome=outcome, text=text)
    return r.ChildCompleted(seq=seq, session_id="s", at=NOW, epoch=1, data=data)


CHILD = _history(_began(1, "t1"), _ended(2, "t1"))


def test_children_that_told_their_parent_once_what_their_journal_says_break_nothing() -> None:
    parent = _history(
        _asked(1, "a"),
        _asked(2, "b"),
        _asked(3, "c", task=False),
        _told(4, "b", "", ChildOutcome.failed),
        _told(5, "a"),
    )
    assert i.children_told_once(parent, {"j-a": CHILD, "j-b": CHILD, "j-c": CHILD}) == []


@pytest.mark.parametrize(
    "parent",
    [
        _history(_asked(1, "a")),
        _history(_asked(1, "a"), _told(2, "a"), _told(3, "a")),
        _history(_told(1, "a")),
        _history(_asked(1, "a", task=False), _told(2, "a")),
        _history(_asked(1, "a"), _told(2, "a", "something else")),
    ],
    ids=["silent", "told twice", "never asked", "without a task", "not what it said"],
)
def test_an_answer_of_a_child_that_is_lost_or_doubled_or_wrong_is_found(parent: i.History) -> None:
    assert len(i.children_told_once(parent, {"j-a": CHILD})) == 1


def _fork(*records: r.RecordBase) -> i.History:
    seq = len(records) + 1
    data = r.SessionForked.Data(journal_id="f", source_journal_id="s", source_session_id="s", name="")
    return _history(
        *records, r.SessionForked(seq=seq, session_id="f", at=NOW, epoch=1, data=data), _heard(seq + 1, "f")
    )


def test_a_fork_owns_what_follows_the_beginning_that_it_shares() -> None:
    source = _history(_heard(1, "c1"), _began(2, "t1"), _ended(3, "t1"), _heard(4, "c2"))
    fork = _fork(*source.records[:3])
    assert (fork.shared, [one.seq for one in fork.own], source.shared) == (3, [4, 5], 0)
    assert i.shares_the_beginning(source, fork) == []


def test_a_fork_whose_beginning_is_another_is_found() -> None:
    source = _history(_heard(1, "c1"), _heard(2, "c2"))
    for wrong in (_fork(_heard(1, "c1"), _heard(2, "other")), _fork(), _history(_heard(1, "c1"))):
        assert len(i.shares_the_beginning(source, wrong)) == 1


def test_a_journal_that_changes_when_its_family_is_destroyed_is_found() -> None:
    before = _history(_heard(1, "c1"))
    assert i.unchanged(before, _history(_heard(1, "c1"))) == []
    assert len(i.unchanged(before, _history())) == 1
    assert len(i.unchanged(before, _history(_heard(1, "c1", epoch=2)))) == 1


@pytest.mark.parametrize("seen", [[1, 3], [1, 2, 2, 3], [2, 3], [1, 2, 3, 4], [2, 1]])
def test_a_reader_to_whom_something_came_twice_or_never_is_found(seen: list[int]) -> None:
    history = _history(_heard(1, "c1"), _heard(2, "c2"), _heard(3, "c3"))
    assert i.read_in_order(history, [1, 2]) == []
    assert len(i.read_in_order(history, seen)) == 1


def test_a_second_run_of_an_unsafe_tool_is_found() -> None:
    assert i.unsafe_ran_at_most_once(["a", "b"]) == []
    assert i.unsafe_ran_at_most_once(["a", "b", "a"]) == ["unsafe tool ran 2 times for a"]


def test_an_outcome_without_an_effect_is_found() -> None:
    assert i.finished_calls_ran(["a", "b"], ["a"]) == []
    assert len(i.finished_calls_ran(["a"], ["a", "b"])) == 1


def test_what_is_left_behind_is_found() -> None:
    assert i.nothing_left({"actor": [], "row": []}) == []
    assert i.nothing_left({"actor": [], "process": ["python"]}) == ["process left behind: python"]
