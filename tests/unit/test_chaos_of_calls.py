"""The counter of the chaos suite counts what becomes of calls: each promise, shown to it broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.actions import ActionKind, Resolution
from actors.domain.artifacts import Artifact, kept
from actors.domain.calls import Outcome
from tests.chaos import of_calls as c
from tests.chaos.invariants import History

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SLOW = "append_slowly"


def _envelope(seq: int) -> dict[str, Any]:
    return {"seq": seq, "session_id": "s", "turn_id": "t", "at": NOW, "epoch": 1}


def _asked(seq: int, action: str, kind: ActionKind = ActionKind.input) -> r.ActionRequested:
    data = r.ActionRequested.Data(
        action_id=action, kind=kind, index=0, tool_use_id="u", tool="mcp__web__ask", args={}, args_digest="d"
    )
    return r.ActionRequested(**_envelope(seq), data=data)


def _settled(seq: int, action: str, how: Resolution = Resolution.accept) -> r.ActionResolved:
    data = r.ActionResolved.Data(action_id=action, resolution=how, by="user")
    return r.ActionResolved(**_envelope(seq), data=data)


def _gave(seq: int, text: str, *, tool: str = SLOW, artifact: Artifact | None = None) -> r.ToolCallCompleted:
    data = r.ToolCallCompleted.Data(
        call_id="c", attempt=1, index=0, tool_use_id="u", name=tool, outcome=Outcome.ok, content=text, artifact=artifact
    )
    return r.ToolCallCompleted(**_envelope(seq), data=data)


def _history(*records: r.RecordBase, waits: bool = False, artifacts: Mapping[str, bytes] | None = None) -> History:
    return History("s", records, [], waits=waits, artifacts=artifacts or {})


LARGE = "word\n" * 5
KEPT = kept(LARGE, tool="append_again", call_id="c").artifact
NAMED = _gave(1, "word...", tool="append_again", artifact=KEPT)


def test_calls_that_keep_every_promise_break_nothing() -> None:
    whole = _history(
        _asked(1, "a"), _settled(2, "a"), _gave(3, "w 0\nw 1\n"), NAMED, artifacts={KEPT.artifact_id: LARGE.encode()}
    )
    assert c.broken_in(whole, SLOW) == []
    assert c.counted(whole) == (0, 1, 1)


@pytest.mark.parametrize(
    ("promise", "history"),
    [
        (c.questions_settled_once, _history(_asked(1, "a"))),
        (c.questions_settled_once, _history(_asked(1, "a"), _settled(2, "a"), _settled(3, "a"), waits=True)),
        (c.questions_settled_once, _history(_asked(1, "a"), _asked(2, "a"), _settled(3, "a"))),
        (c.questions_settled_once, _history(_settled(1, "a"))),
        (lambda one: c.pieces_in_order(one, SLOW), _history(_gave(1, "w 0\nw 1\nw 1\n"))),
        (lambda one: c.pieces_in_order(one, SLOW), _history(_gave(1, "w 0\nw 1\nw 0\nw 1\n"))),
        (lambda one: c.pieces_in_order(one, SLOW), _history(_gave(1, "w 0\nw 2\n"))),
        (c.artifacts_whole, _history(NAMED)),
        (c.artifacts_whole, _history(artifacts={"other": b"x"})),
        (c.artifacts_whole, _history(NAMED, artifacts={KEPT.artifact_id: LARGE[:-5].encode()})),
        (c.artifacts_whole, _history(NAMED, artifacts={KEPT.artifact_id: LARGE.replace("w", "W").encode()})),
    ],
    ids=[
        "open question",
        "settled twice",
        "asked twice",
        "never asked",
        "piece twice",
        "pieces of two attempts",
        "piece lost",
        "artifact lost",
        "artifact of nobody",
        "half an artifact",
        "another artifact",
    ],
)
def test_a_broken_call_is_found(promise: Callable[[History], list[str]], history: History) -> None:
    assert len(promise(history)) == 1
    assert promise(history)[0] in c.broken_in(history, SLOW)


def test_a_session_that_waits_may_have_an_open_question() -> None:
    assert c.questions_settled_once(_history(_asked(1, "a"), waits=True)) == []


def test_a_tool_that_is_given_an_answer_twice_or_one_that_nobody_gave_is_found() -> None:
    given = c.accepted(
        _history(
            _asked(1, "a"),
            _settled(2, "a"),
            _asked(3, "b"),
            _settled(4, "b", Resolution.decline),
            _asked(5, "c", ActionKind.approval),
            _settled(6, "c"),
        )
    )
    assert given == ["a"]
    assert c.answers_taken_once(["a"], given) == c.answers_taken_once([], given) == []
    assert len(c.answers_taken_once(["a", "a"], given)) == len(c.answers_taken_once(["b"], given)) == 1
