"""What was withheld in a session, as its journal tells it. Only the store is asked."""

from __future__ import annotations

from collections import Counter

from actors.domain import records as r
from actors.domain.records import decode_record
from actors.domain.security import SecurityReport
from actors.domain.session import SessionInfo
from actors.reading.stretches import BEGINNINGS, pages
from actors.session.ports import Store

_NOTED = r.SecurityNoted.model_fields["type"].default


async def report_of(store: Store, info: SessionInfo) -> SecurityReport:
    """All that the session's own records note."""
    withheld, orders, treated = Counter[str](), Counter[str](), Counter[str]()
    async for page in pages(store, info.tenant, info.journal_id, upto=info.head_seq):
        for stored in page:
            if stored.type in BEGINNINGS:
                withheld, orders, treated = Counter[str](), Counter[str](), Counter[str]()
            elif stored.type == _NOTED:
                record = decode_record(stored.body)
                assert isinstance(record, r.SecurityNoted)
                withheld.update(record.data.withheld)
                orders.update(record.data.orders)
                treated.update([record.data.treated.value] if record.data.treated is not None else [])
    return SecurityReport(
        withheld=dict(sorted(withheld.items())),
        orders=dict(sorted(orders.items())),
        treated=dict(sorted(treated.items())),
    )
