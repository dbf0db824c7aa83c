"""The counter of the chaos suite counts: each promise, shown to it broken in a made-up history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from actors.domain import records as r
from actors.domain.messages import Message
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


def _history(*records: r.RecordBase, acknowledged: Sequence[str] = (), waits: bool = False) -> i.History:
    return i.History("s", records, acknowledged, waits)


def test_a_history_that_keeps_every_promise_has_no_violations() -> None:
    whole = _history(_heard(1, "c1"), _began(2, "t1"), _ended(3, "t1", epoch=2), acknowledged=["c1"])
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
    ],
)
def test_a_broken_journal_is_found(promise: Callable[[i.History], list[str]], history: i.History) -> None:
    assert len(promise(history)) == 1
    assert promise(history)[0] in i.broken_by(history)


def test_an_open_turn_may_wait_for_a_decision() -> None:
    assert i.turns_ended(_history(_began(1, "t1"), waits=True)) == []


def test_a_second_run_of_an_unsafe_tool_is_found() -> None:
    assert i.unsafe_ran_at_most_once(["a", "b"]) == []
    assert i.unsafe_ran_at_most_once(["a", "b", "a"]) == ["unsafe tool ran 2 times for a"]


def test_an_outcome_without_an_effect_is_found() -> None:
    assert i.finished_calls_ran(["a", "b"], ["a"]) == []
    assert len(i.finished_calls_ran(["a"], ["a", "b"])) == 1


def test_what_is_left_behind_is_found() -> None:
    assert i.nothing_left({"actor": [], "row": []}) == []
    assert i.nothing_left({"actor": [], "process": ["python"]}) == ["process left behind: python"]
