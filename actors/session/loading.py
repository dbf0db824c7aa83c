"""A session's state from its store: the newest snapshot of this release's version, and the records after it."""

from __future__ import annotations

from actors.domain.records import decode_record
from actors.session.fold import fold
from actors.session.ports import Store
from actors.session.state import SNAPSHOT_VERSION, State, from_snapshot, initial


async def load_state(store: Store, tenant: str, journal_id: str) -> tuple[State, int]:
    """The state at the head, and the place of the snapshot it was folded from (0 without one).

    Raises:
        SessionNotFound: no such journal.
    """
    loaded = await store.load(tenant, journal_id)
    snapshot = loaded.snapshot
    base = from_snapshot(snapshot.body) if snapshot and snapshot.version == SNAPSHOT_VERSION else initial()
    records = (decode_record(record.body) for record in loaded.records if record.seq > base.seq)
    return fold(base, records), base.seq
