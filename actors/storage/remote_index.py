"""The part of ``RemoteStore`` that tells of sessions without reading all that there is of them."""

from __future__ import annotations

from typing import Any

from actors.domain.journal import Known
from actors.storage.wire import maybe


class RemoteIndex:
    """A part of ``RemoteStore``."""

    async def _call(self, method: str, /, **args: Any) -> Any:
        raise NotImplementedError

    async def known(self, tenant: str, session_id: str) -> Known | None:
        """See ``Store.known``."""
        return maybe(Known._make, await self._call("known", tenant=tenant, session_id=session_id))

    async def below(self, tenant: str, journal_id: str, *, limit: int = 1000) -> tuple[Known, ...]:
        """See ``Store.below``."""
        return tuple(map(Known._make, await self._call("below", tenant=tenant, journal_id=journal_id, limit=limit)))

    async def waiting_tenants(self, kind: str, *, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """See ``Store.waiting_tenants``."""
        return tuple(await self._call("waiting_tenants", kind=kind, after=after, limit=limit))
