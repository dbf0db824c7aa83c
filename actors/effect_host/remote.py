"""An effect host at the other end of a connection: what its server offers, and the client that speaks to it.

Calls and outcomes travel as their JSON forms; the context of a model call goes beside them, never decoded on the way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from pydantic import TypeAdapter

from actors.caller import Caller
from actors.domain.calls import Attached, CallKey, EffectCall, ModelCall, ToolCall
from actors.effect_host.host import EffectHost
from actors.effect_host.ports import DeltaPage

_CALL: TypeAdapter[ModelCall | ToolCall] = TypeAdapter(EffectCall)
_PAGES: TypeAdapter[list[DeltaPage]] = TypeAdapter(list[DeltaPage])


Handler = Callable[..., Awaitable[Any] | AsyncIterator[Any]]


def pack_call(call: ModelCall | ToolCall) -> dict[str, Any]:
    """A call as plain values."""
    if isinstance(call, ModelCall):
        return {"call": call.model_dump_json(exclude={"messages"}).encode(), "messages": list(call.messages)}
    return {"call": call.model_dump_json().encode(), "messages": []}


def unpack_call(call: bytes, messages: list[bytes]) -> ModelCall | ToolCall:
    """The call that ``pack_call`` packed."""
    unpacked = _CALL.validate_json(call)
    return unpacked.model_copy(update={"messages": tuple(messages)}) if isinstance(unpacked, ModelCall) else unpacked


def _pack_keys(keys: Sequence[CallKey]) -> list[list[Any]]:
    return [[key.call_id, key.attempt] for key in keys]


def _unpack_keys(keys: Sequence[Sequence[Any]]) -> list[CallKey]:
    return [CallKey(call_id=call_id, attempt=attempt) for call_id, attempt in keys]


def host_handlers(host: EffectHost) -> dict[str, Handler]:
    """The host's methods for a server."""

    async def run(call: bytes, messages: list[bytes]) -> bytes:
        return (await host.run(unpack_call(call, messages))).model_dump_json().encode()

    async def attach(
        journal_id: str, epoch: int, incarnation: str, keys: list[list[Any]], settled: list[list[Any]]
    ) -> list[bytes]:
        answers = await host.attach(journal_id, epoch, incarnation, _unpack_keys(keys), _unpack_keys(settled))
        return [answer.model_dump_json().encode() for answer in answers]

    async def cancel(journal_id: str, epoch: int, incarnation: str, keys: list[list[Any]]) -> bytes:
        answer = await host.cancel(_unpack_keys(keys)[0], epoch, journal_id, incarnation)
        return answer.model_dump_json().encode()

    async def ack(journal_id: str, epoch: int, incarnation: str, keys: list[list[Any]]) -> None:
        await host.ack(journal_id, epoch, incarnation, _unpack_keys(keys))

    async def poll_many(cursors: list[list[Any]], wait_s: float) -> bytes:
        wanted = [(CallKey(call_id=one[0], attempt=one[1]), int(one[2])) for one in cursors]
        return _PAGES.dump_json(await host.poll_many(wanted, wait_s))

    async def watch(keys: list[list[Any]], cursor: int) -> AsyncIterator[bytes]:
        async for page in host.watch(_unpack_keys(keys)[0], cursor):
            yield page.model_dump_json().encode()

    return {"run": run, "attach": attach, "cancel": cancel, "ack": ack, "poll_many": poll_many, "watch": watch}


class RemoteHost:
    """One incarnation of a host, reached through a caller. Methods and errors are those of ``EffectHost``."""

    def __init__(self, caller: Caller, incarnation: str) -> None:
        self._caller = caller
        self._incarnation = incarnation

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        """See ``EffectHost.run``."""
        return Attached.model_validate_json(await self._caller.call("run", **pack_call(call)))

    async def attach(
        self, journal_id: str, epoch: int, keys: Sequence[CallKey], settled: Sequence[CallKey]
    ) -> list[Attached]:
        """See ``EffectHost.attach``."""
        answers = await self._caller.call(
            "attach",
            journal_id=journal_id,
            epoch=epoch,
            incarnation=self._incarnation,
            keys=_pack_keys(keys),
            settled=_pack_keys(settled),
        )
        return [Attached.model_validate_json(answer) for answer in answers]

    async def cancel(self, journal_id: str, epoch: int, key: CallKey) -> Attached:
        """See ``EffectHost.cancel``."""
        answer = await self._caller.call(
            "cancel", journal_id=journal_id, epoch=epoch, incarnation=self._incarnation, keys=_pack_keys([key])
        )
        return Attached.model_validate_json(answer)

    async def ack(self, journal_id: str, epoch: int, keys: Sequence[CallKey]) -> None:
        """See ``EffectHost.ack``."""
        await self._caller.call(
            "ack", journal_id=journal_id, epoch=epoch, incarnation=self._incarnation, keys=_pack_keys(keys)
        )

    async def poll_many(self, cursors: Sequence[tuple[CallKey, int]], wait_s: float) -> list[DeltaPage]:
        """See ``EffectHost.poll_many``."""
        plain = [[key.call_id, key.attempt, cursor] for key, cursor in cursors]
        return _PAGES.validate_json(await self._caller.call("poll_many", cursors=plain, wait_s=wait_s))

    async def watch(self, key: CallKey, cursor: int = 0) -> AsyncIterator[DeltaPage]:
        """See ``EffectHost.watch``."""
        async for page in self._caller.stream("watch", keys=_pack_keys([key]), cursor=cursor):
            yield DeltaPage.model_validate_json(page)
