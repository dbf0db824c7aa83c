"""The serving end of a store: each method as a function of plain values, for a channel or an actor to offer.

Above are ``remote.RemoteStore``'s calls; below is a ``StoreService``, or several. Who may call is
the channel's business.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

from actors.domain.mcp import KnownServer
from actors.storage import wire
from actors.storage.moments import maybe_micros, maybe_moment, moment
from actors.storage.rules import bounded
from actors.storage.several.opening import Serving
from actors.storage.wire import Plain, each, maybe, wellformed

Handler = Callable[..., Awaitable[Any]] | Callable[..., AsyncIterator[Any]]

BLOBS_BYTES: Final = 16 * 1024 * 1024
"""Bytes of blobs after which an answer names the rest instead: a quarter of the largest frame, so that one more blob,
which the frame of its append had room for, still fits."""


def store_handlers(service: Serving) -> dict[str, Handler]:
    """The methods of a store by name: async functions, and async generator functions for ``follow`` and ``hints``."""
    return {
        **_lives(service),
        **_writes(service),
        **_rows(service),
        **_index(service),
        **_standing(service),
        **_records(service),
        **_content(service),
        **_servers(service),
        **_streams(service),
    }


def _lives(service: Serving) -> dict[str, Handler]:
    async def create(tenant: str, command_id: str, digest: str, sessions: list[Plain], store: str) -> bool:
        with wellformed():
            read = each(wire.new_in, sessions)
        return await service.create(tenant, command_id, digest, read, store=store)

    async def activate(tenant: str, journal_id: str, term: int, assignment_no: int, share: bool) -> Plain:
        acquired, begun = await service.begin(tenant, journal_id, term, assignment_no, share=share)
        return [wire.acquired_out(acquired), wire.loaded_out(begun.loaded), begun.shared]

    async def expire(now: int, retention: Plain, limit: int) -> Plain:
        with wellformed():
            read, kept = moment(now), wire.retention_in(retention)
        return each(list, await service.expire(read, kept, limit=limit))

    async def purge(now: int, limit: int) -> int:
        with wellformed():
            read = moment(now)
        return await service.purge(read, limit=limit)

    return {
        "create": create,
        "activate": activate,
        "destroy": service.destroy,
        "purge_session": service.purge_session,
        "expire": expire,
        "purge": purge,
        "next_term": service.next_term,
        "health": service.health,
    }


def _writes(service: Serving) -> dict[str, Handler]:
    async def append(parts: list[Plain]) -> list[Plain]:
        with wellformed():
            read = each(wire.part_in, parts)
        return each(wire.answer_out, await service.append_all(read))

    async def take_snapshot(tenant: str, journal_id: str) -> Plain:
        return (await service.take_snapshot(tenant, journal_id)).model_dump()

    async def put_snapshot(tenant: str, journal_id: str, snapshot: Plain) -> bool:
        with wellformed():
            read = wire.snapshot_in(snapshot)
        return await service.put_snapshot(tenant, journal_id, read)

    async def put_result(tenant: str, journal_id: str, result: Plain) -> None:
        with wellformed():
            read = wire.result_in(result)
        await service.put_result(tenant, journal_id, read)

    async def delivered(letters: list[tuple[str, str, int]]) -> None:
        with wellformed():
            read = [(tenant, journal_id, seq) for tenant, journal_id, seq in letters]
        await service.delivered(read)

    return {
        "append": append,
        "take_snapshot": take_snapshot,
        "put_snapshot": put_snapshot,
        "put_result": put_result,
        "delivered": delivered,
    }


def _rows(service: Serving) -> dict[str, Handler]:
    async def identity() -> Plain:
        return wire.identity_out(await service.identity())

    async def find(tenant: str, session_id: str) -> Plain:
        return maybe(wire.info_out, await service.find(tenant, session_id))

    async def row(tenant: str, journal_id: str) -> Plain:
        return maybe(wire.info_out, await service.row(tenant, journal_id))

    async def rows(tenant: str, wanted: Plain, after: str | None, limit: int) -> Plain:
        with wellformed():
            read = wire.filter_in(wanted)
        page, more = await service.rows(tenant, read, after=after, limit=limit)
        return [each(wire.info_out, page), more]

    async def count(tenant: str, wanted: Plain) -> int:
        with wellformed():
            read = wire.filter_in(wanted)
        return await service.count(tenant, read)

    async def actions(
        tenant: str,
        journal_id: str | None,
        tree: bool,
        pending: bool,
        kind: str | None,
        action_id: str | None,
        after: str | None,
        limit: int,
    ) -> Plain:
        page, more = await service.actions(
            tenant,
            journal_id=journal_id,
            tree=tree,
            pending=pending,
            kind=kind,
            action_id=action_id,
            after=after,
            limit=limit,
        )
        return [each(wire.action_out, page), more]

    async def spent(tenant: str, journal_id: str | None, since: int | None, until: int | None) -> Plain:
        with wellformed():
            bounds = {"since": maybe_moment(since), "until": maybe_moment(until)}
        rows = await service.spent(tenant, journal_id=journal_id, **bounds)
        return [row.model_dump_json().encode() for row in rows]

    asked: dict[str, Handler] = {"identity": identity, "find": find, "row": row, "rows": rows, "count": count}
    return asked | {"actions": actions, "spent": spent}


def _index(service: Serving) -> dict[str, Handler]:
    async def known(tenant: str, session_id: str) -> Plain:
        return maybe(list, await service.known(tenant, session_id))

    async def below(tenant: str, journal_id: str, limit: int) -> Plain:
        return each(list, await service.below(tenant, journal_id, limit=limit))

    async def waiting_tenants(kind: str, after: str, limit: int) -> Plain:
        return list(await service.waiting_tenants(kind, after=after, limit=limit))

    return {"known": known, "below": below, "waiting_tenants": waiting_tenants}


def _standing(service: Serving) -> dict[str, Handler]:
    async def due(now: int, limit: int) -> Plain:
        with wellformed():
            read = moment(now)
        return each(list, await service.due(read, limit=limit))

    async def next_wake() -> int | None:
        return maybe_micros(await service.next_wake())

    async def unavailable() -> Plain:
        return list(await service.unavailable())

    return {"due": due, "next_wake": next_wake, "unavailable": unavailable, "stats": service.stats}


def _records(service: Serving) -> dict[str, Handler]:
    async def load(tenant: str, journal_id: str) -> Plain:
        return wire.loaded_out((await service.beginning(tenant, journal_id)).loaded)

    async def state(tenant: str, journal_id: str, upto: int | None) -> Plain:
        return wire.snapshot_out(await service.state(tenant, journal_id, upto=upto))

    async def records(tenant: str, journal_id: str, after: int, limit: int) -> Plain:
        page = await service.records(tenant, journal_id, after=after, limit=bounded(limit))
        return each(wire.record_out, page)

    async def wait(tenant: str, journal_id: str, after: int, wait_s: float) -> int:
        return await service.wait(tenant, journal_id, after=after, wait_s=wait_s)

    async def first_outcome(tenant: str, journal_id: str, command_id: str) -> Plain:
        return maybe(wire.outcome_out, await service.first_outcome(tenant, journal_id, command_id))

    asked: dict[str, Handler] = {"load": load, "state": state, "records": records, "wait": wait}
    return asked | {"first_outcome": first_outcome}


def _content(service: Serving) -> dict[str, Handler]:
    async def blobs(tenant: str, digests: list[str]) -> Plain:
        found: dict[str, bytes] = {}
        size = 0
        for place, digest in enumerate(digests):
            if size >= BLOBS_BYTES:
                return [found, digests[place:]]
            got = await service.blobs(tenant, [digest])
            found |= got
            size += sum(map(len, got.values()))
        return [found, []]

    async def receivers(after: list[str] | None, limit: int) -> Plain:
        with wellformed():
            place = (after[0], after[1]) if after is not None else None
        return each(list, await service.receivers(after=place, limit=limit))

    async def letters(tenant: str, target_journal_id: str, limit: int) -> Plain:
        return each(wire.letter_out, await service.letters(tenant, target_journal_id, limit=limit))

    async def results(tenant: str, journal_id: str, call_id: str | None = None) -> Plain:
        return each(wire.result_out, await service.results(tenant, journal_id, call_id))

    return {"blobs": blobs, "receivers": receivers, "letters": letters, "results": results}


def _servers(service: Serving) -> dict[str, Handler]:
    async def put_server(tenant: str, journal_id: str, name: str, server: bytes | None) -> None:
        with wellformed():
            read = KnownServer.model_validate_json(server) if server is not None else None
        await service.put_server(tenant, journal_id, name, read)

    async def servers() -> Plain:
        found = await service.servers()
        return [[tenant, journal_id, one.model_dump_json().encode()] for tenant, journal_id, one in found]

    return {"put_server": put_server, "servers": servers}


def _streams(service: Serving) -> dict[str, Handler]:
    async def follow(tenant: str, journal_id: str, after: int) -> AsyncGenerator[Plain]:
        async with aclosing(service.follow(tenant, journal_id, after=after)) as pages:
            async for page in pages:
                yield each(wire.record_out, page)

    async def hints() -> AsyncGenerator[Plain]:
        async with aclosing(service.hints()) as feed:
            async for some in feed:
                yield each(wire.hint_out, some)

    return {"follow": follow, "hints": hints}
