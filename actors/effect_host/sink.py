"""The store's table of what hosts write down, as a host's sink."""

from __future__ import annotations

from actors.domain.journal import StoredResult
from actors.session.ports import Store


class StoreSink:
    """A ``ResultSink`` over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, tenant: str, journal_id: str, call_id: str, attempt: int, outcome: bytes) -> None:
        """See ``ResultSink.save``."""
        await self._store.put_result(tenant, journal_id, StoredResult(call_id, attempt, outcome=outcome))

    async def save_facts(self, tenant: str, journal_id: str, call_id: str, attempt: int, facts: bytes) -> None:
        """See ``ResultSink.save_facts``."""
        await self._store.put_result(tenant, journal_id, StoredResult(call_id, attempt, facts=facts))
