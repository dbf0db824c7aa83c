"""A session's state from its store: the newest snapshot of this release's version, and the records after it."""

from __future__ import annotations

import logging
from typing import NamedTuple

from actors.domain.calls import OUTCOME, CallKey, Outcome
from actors.domain.journal import Snapshot, StoredResult
from actors.domain.records import decode_record
from actors.errors import RowCorrupt
from actors.session.fold import fold
from actors.session.ports import Loaded, Store
from actors.session.state import SNAPSHOT_VERSION, State, from_snapshot, initial
from actors.session.tool_call import CallPhase

log = logging.getLogger(__name__)

_PAGE = 1000


class Recovered(NamedTuple):
    """What an activation begins with.

    Attributes:
        state: As it is at the head.
        snapshot_seq: Place of the snapshot it was folded from; 0 without one.
        results: What hosts wrote down of the session's calls.
    """

    state: State
    snapshot_seq: int
    results: tuple[StoredResult, ...] = ()

    @property
    def useless(self) -> tuple[tuple[str, int], ...]:
        """The attempts of which hosts wrote down what nobody will ask for: all of it is in the journal."""
        turn = self.state.turn
        wanted = [call.key for call in turn.calls if call.phase is not CallPhase.settled] if turn else []
        wanted += [turn.model_call.key] if turn and turn.model_call else []
        awaited = [one.key for one in self.state.unanswered]
        found: list[tuple[str, int]] = []
        for one in self.results:
            key = CallKey(call_id=one.call_id, attempt=one.attempt)
            if key not in wanted and not (key in awaited and _tells(one)):
                found.append((one.call_id, one.attempt))
        return tuple(found)


def _tells(result: StoredResult) -> bool:
    return result.outcome is not None and OUTCOME.validate_json(result.outcome).outcome is not Outcome.unknown


async def recover(store: Store, tenant: str, journal_id: str, loaded: Loaded) -> Recovered:
    """Fold what was read of a session."""
    snapshot = loaded.snapshot
    records = (decode_record(record.body) for record in loaded.records)
    if loaded.shared is not None:
        return Recovered(fold(loaded.shared, records), loaded.kept, loaded.results)
    if snapshot is None:
        return Recovered(fold(initial(), records), 0, loaded.results)
    if snapshot.version == SNAPSHOT_VERSION and (kept := _read(snapshot, journal_id)) is not None:
        return Recovered(fold(kept, records), snapshot.seq, loaded.results)
    # Another release wrote it, or it is damaged; all that it says, the records before it say as well.
    folded = await _folded(store, tenant, journal_id, snapshot.seq)
    return Recovered(fold(folded, records), 0, loaded.results)


def _read(snapshot: Snapshot, journal_id: str) -> State | None:
    try:
        return from_snapshot(snapshot.body)
    except ValueError:
        log.warning("the snapshot of journal %s cannot be read and is made again from its records", journal_id)
        return None


async def _folded(store: Store, tenant: str, journal_id: str, upto: int) -> State:
    state = initial()
    while state.seq < upto:
        page = await store.records(tenant, journal_id, after=state.seq, limit=min(_PAGE, upto - state.seq))
        if not page:
            raise RowCorrupt("of this session", "records of its journal are missing")
        state = fold(state, (decode_record(record.body) for record in page))
    return state
