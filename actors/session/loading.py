"""A session's state from its store: the newest snapshot of this release's version, and the records after it."""

from __future__ import annotations

from actors.domain.records import decode_record
from actors.errors import SessionNotFound
from actors.session.fold import fold
from actors.session.ports import Store
from actors.session.state import SNAPSHOT_VERSION, State, from_snapshot, initial

_PAGE = 1000


async def load_state(store: Store, tenant: str, journal_id: str) -> tuple[State, int]:
    """The state at the head, and the place of the snapshot it was folded from (0 without one).

    Raises:
        SessionNotFound: no such journal.
    """
    loaded = await store.load(tenant, journal_id)
    snapshot = loaded.snapshot
    records = (decode_record(record.body) for record in loaded.records)
    if loaded.shared is not None:
        return fold(loaded.shared, records), loaded.kept
    if snapshot is None:
        return fold(initial(), records), 0
    if snapshot.version == SNAPSHOT_VERSION:
        return fold(from_snapshot(snapshot.body), records), snapshot.seq
    # Another release wrote it; all that it says, the records before it say as well.
    return fold(await _folded(store, tenant, journal_id, snapshot.seq), records), 0


async def _folded(store: Store, tenant: str, journal_id: str, upto: int) -> State:
    state = initial()
    while state.seq < upto:
        page = await store.records(tenant, journal_id, after=state.seq, limit=min(_PAGE, upto - state.seq))
        if not page:
            raise SessionNotFound(journal_id)
        state = fold(state, (decode_record(record.body) for record in page))
    return state
