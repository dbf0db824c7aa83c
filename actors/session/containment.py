"""Taking a session out of service from outside: for one that kills every process it is activated in."""

from __future__ import annotations

from actors.domain import records as r
from actors.domain.ids import new_ulid, utc_now
from actors.domain.journal import AppendPart
from actors.domain.records import Draft
from actors.session.children import told
from actors.session.loading import recover
from actors.session.ports import Store
from actors.session.projection import place, project, stored


async def contain(store: Store, tenant: str, journal_id: str, term: int, assignment_no: int, message: str) -> None:
    """Write ``session.error{crash_loop}``, and tell a parent that waits; ``resume`` puts the session back into service.

    Raises:
        Fenced: a newer activation exists. SessionNotFound: it was destroyed. StoreUnavailable: try again.
    """
    begun = await store.activate(tenant, journal_id, term, assignment_no)
    before = (await recover(store, tenant, journal_id, begun.loaded)).state
    draft = Draft(r.SessionError, r.SessionError.Data(code="crash_loop", message=message))
    state, record = place(before, draft, now=utc_now(), epoch=begun.epoch)
    letter = told(before, record, state, {})
    part = AppendPart(
        tenant=tenant,
        journal_id=journal_id,
        epoch=begun.epoch,
        expected_seq=before.seq,
        batch_id=new_ulid(),
        records=(stored(record),),
        row=project(state),
        outbox=(letter,) if letter is not None else (),
    )
    await store.append(part)
