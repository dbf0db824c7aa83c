"""An effect host at the other end of a connection: what its server offers, and the client that speaks to it.

Calls and outcomes travel as their JSON forms; the context of a model call goes beside them, never decoded on the way,
and of it only what the host was not sent with an earlier call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import TypeAdapter

from actors.caller import Caller
from actors.domain.calls import Attached, CallKey, EffectCall, ModelCall, Reconciled, ToolCall
from actors.domain.contexts import NOTHING, Beginning, Context, Contexts
from actors.effect_host.host import EffectHost
from actors.effect_host.ports import DeltaPage

_CALL: TypeAdapter[ModelCall | ToolCall] = TypeAdapter(EffectCall)
_PAGES: TypeAdapter[list[DeltaPage]] = TypeAdapter(list[DeltaPage])


SEND_ALL = b""
"""Answer to a call whose context builds on one that the host does not hold: nothing has begun."""

Handler = Callable[..., Awaitable[Any] | AsyncIterator[Any]]


CONTEXT_BYTES = 64 * 1024 * 1024
"""Contexts that a host keeps for their next calls: some 500 conversations of 128 KB; others are sent whole again."""


def _pack_call(call: ModelCall | ToolCall, known: Context, held: Beginning) -> dict[str, Any]:
    """A call as plain values; of its context what follows the beginning that its host holds."""
    base, rest = known.after(held)
    plain = call.model_dump_json(exclude={"messages"} if _has_context(call) else None).encode()
    return {"call": plain, "base": list(base), "messages": list(rest)}


def _has_context(call: ModelCall | ToolCall) -> bool:
    """Whether its messages grow with those of the session's next call."""
    return isinstance(call, ModelCall) and not call.aside


def _unpack_call(call: bytes, base: Beginning, rest: list[bytes], held: Contexts) -> ModelCall | ToolCall | None:
    """The call that ``_pack_call`` packed; None when its context builds on one that is not held here."""
    unpacked = _CALL.validate_json(call)
    if not isinstance(unpacked, ModelCall) or unpacked.aside:
        return unpacked
    context = held.get(unpacked.journal_id).with_rest(base, tuple(rest))
    if context is None:
        return None
    held.put(unpacked.journal_id, context)
    return unpacked.model_copy(update={"messages": context.messages})


def _pack_keys(keys: Sequence[CallKey]) -> list[list[Any]]:
    return [[key.call_id, key.attempt] for key in keys]


def _unpack_keys(keys: Sequence[Sequence[Any]]) -> list[CallKey]:
    return [CallKey(call_id=call_id, attempt=attempt) for call_id, attempt in keys]


def host_handlers(host: EffectHost) -> dict[str, Handler]:
    """The host's methods for a server."""
    contexts = Contexts(CONTEXT_BYTES)

    async def run(call: bytes, base: list[Any], messages: list[bytes]) -> bytes:
        unpacked = _unpack_call(call, Beginning(*base), messages, contexts)
        return (await host.run(unpacked)).model_dump_json().encode() if unpacked is not None else SEND_ALL

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

    async def reconcile(journal_id: str, epoch: int, incarnation: str, call: bytes, recorded: bytes | None) -> bytes:
        unpacked = ToolCall.model_validate_json(call)
        answer = await host.reconcile(journal_id, epoch, incarnation, unpacked, recorded)
        return answer.model_dump_json().encode()

    async def poll_many(cursors: list[list[Any]], wait_s: float) -> bytes:
        wanted = [(CallKey(call_id=one[0], attempt=one[1]), int(one[2])) for one in cursors]
        return _PAGES.dump_json(await host.poll_many(wanted, wait_s))

    async def watch(keys: list[list[Any]], cursor: int) -> AsyncIterator[bytes]:
        async with aclosing(host.watch(_unpack_keys(keys)[0], cursor)) as pages:
            async for page in pages:
                yield page.model_dump_json().encode()

    asked: dict[str, Handler] = {"run": run, "attach": attach, "cancel": cancel, "ack": ack, "reconcile": reconcile}
    return asked | {"poll_many": poll_many, "watch": watch}


class RemoteHost:
    """One incarnation of a host, reached through a caller. Methods and errors are those of ``EffectHost``."""

    def __init__(self, caller: Caller, incarnation: str) -> None:
        self._caller = caller
        self._incarnation = incarnation

    async def run(self, call: ModelCall | ToolCall, sent: Contexts) -> Attached:
        """See ``EffectHost.run``.

        Args:
            sent: What hosts were sent before, by journal; it is brought up to date.
        """
        before = sent.get(call.journal_id)
        context = before.grown(call.messages) if isinstance(call, ModelCall) and not call.aside else Context()
        if context.messages:
            sent.put(call.journal_id, context)
        answer = await self._caller.call("run", **_pack_call(call, context, before.whole))
        if answer == SEND_ALL:
            answer = await self._caller.call("run", **_pack_call(call, context, NOTHING))
        return Attached.model_validate_json(answer)

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

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """See ``EffectHost.reconcile``."""
        answer = await self._caller.call(
            "reconcile",
            journal_id=call.journal_id,
            epoch=call.epoch,
            incarnation=self._incarnation,
            call=call.model_dump_json().encode(),
            recorded=recorded,
        )
        return Reconciled.model_validate_json(answer)

    async def poll_many(self, cursors: Sequence[tuple[CallKey, int]], wait_s: float) -> list[DeltaPage]:
        """See ``EffectHost.poll_many``."""
        plain = [[key.call_id, key.attempt, cursor] for key, cursor in cursors]
        return _PAGES.validate_json(await self._caller.call("poll_many", cursors=plain, wait_s=wait_s))

    async def watch(self, key: CallKey, cursor: int = 0) -> AsyncIterator[DeltaPage]:
        """See ``EffectHost.watch``."""
        async for page in self._caller.stream("watch", keys=_pack_keys([key]), cursor=cursor):
            yield DeltaPage.model_validate_json(page)
