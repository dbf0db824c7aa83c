"""The meaning of the records that shorten a session's context.

Pure, as ``actors.session.fold``, which dispatches to these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.domain import records as r
from actors.domain.compaction import CompactionReason
from actors.domain.messages import decode_messages
from actors.policy.compaction import prune
from actors.session.fold_calls import change, change_turn, open_turn
from actors.session.state import Entry, State


def compacting(state: State, record: r.SessionCompacting) -> State:
    """It is due. One that is due already does for both, unless the model has refused the prompt meanwhile."""
    if record.data.reason is not CompactionReason.overflow:
        return change(state, compacting=state.compacting or record.data)
    # What is asked next has another context, so it is another call; of the turn's rounds it takes none.
    state = change(state, compacting=record.data)
    return change_turn(state, failure=None, failures=0, call_id="", round=open_turn(state).round - 1)


def compacted(state: State, record: r.SessionCompacted) -> State:
    """The context is another one from here."""
    data = record.data
    summary = (Entry(record.seq, data.summary.encode()),) if data.summary is not None else ()
    kept = tuple(_kept(state, data))
    return _over(
        change(
            state,
            context=(*kept[: data.start], *summary, *kept[data.start :]),
            context_used=data.after_tokens if state.context_used else 0,
            context_since=record.seq,
        ),
        compacted=data.reason,
    )


def failed(state: State, _: r.SessionCompactionFailed) -> State:
    """The context stays as it was."""
    return _over(state, summary_failed=True)


def _kept(state: State, data: r.SessionCompacted.Data) -> Iterator[Entry]:
    pruned = frozenset(data.pruned)
    for place, entry in enumerate(state.context):
        if place in pruned:
            yield Entry(entry.seq, prune(decode_messages([entry.message])[0]).encode())
        elif not data.start <= place < data.end:
            yield entry


def _over(state: State, **outcome: Any) -> State:
    state = change(state, compacting=None)
    if state.turn is None:
        return state
    return change_turn(state, summary_of=None, summary=None, failure=None, failures=0, call_id="", **outcome)
