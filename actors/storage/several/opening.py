"""From the URLs of a runtime's stores to what serves them: one store by itself, or several as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from actors.domain.stores import DEFAULT_STORE, StorePlace, by_precedence
from actors.storage.open import backend_at, kind_of, location_of, open_backend
from actors.storage.service import StoreService
from actors.storage.several.member import Member
from actors.storage.several.stores import SeveralStores
from actors.storage.watch import Hints

Serving = StoreService | SeveralStores
"""What a runtime's stores are for everybody else."""

Gone = Callable[[str, str], None]


def places_of(url: str, others: Mapping[str, str]) -> tuple[StorePlace, ...]:
    """The stores of these URLs, in the order in which they are asked.

    Raises:
        InvalidConfig: a URL is of no kind that there is.
    """
    for one in (url, *others.values()):
        location_of(one)
    return by_precedence(kind_of(url), [(name, kind_of(one)) for name, one in others.items()])


async def opened(url: str, others: Mapping[str, str], gone: Gone | None = None) -> Serving:
    """Open the default store, and the others beside it by their names.

    Args:
        url: Of the default store. Alone, it is served without anything in between.
        others: URLs by names.
        gone: Called with (tenant, journal_id) of a session that was destroyed.

    Raises:
        InvalidConfig, StoreError: As ``open_backend``. A store other than the default one that cannot be reached now
            is opened later.
    """
    if not others:
        service = StoreService(await asyncio.to_thread(open_backend, url), gone=gone)
        await service.open()
        return service
    stores = await asyncio.to_thread(_several, url, others, gone)
    await stores.open()
    return stores


def _several(url: str, others: Mapping[str, str], gone: Gone | None) -> SeveralStores:
    hints = Hints()
    urls = {DEFAULT_STORE: url, **others}
    members = [
        Member(place, StoreService(backend_at(urls[place.name]), gone=gone, hints=hints))
        for place in places_of(url, others)
    ]
    return SeveralStores(members, hints)
