"""What is left of an attempt when its host has no answer: in the store, and in the world.

Between the calls of a session (``actors.session.calls``) and the store and hosts that are asked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from actors.domain.calls import (
    OUTCOME,
    UNCLEAR,
    Attached,
    CallStatus,
    HostRef,
    ModelCall,
    Reconciled,
    ToolCall,
    Verdict,
)
from actors.domain.journal import StoredResult
from actors.domain.tools import EffectClass
from actors.errors import GreenroomError, HostGone
from actors.session.plan import CallAnswered, CallLost
from actors.session.ports import Hosts, Store

log = logging.getLogger(__name__)

Call = ModelCall | ToolCall


class Remains:
    """Finds out what became of attempts.

    Args:
        renew: Asks for the tools again, since the host of this call is gone; returns who would run it now, if anybody.
    """

    def __init__(self, store: Store, hosts: Hosts, renew: Callable[[Call], Awaitable[HostRef | None]]) -> None:
        self._store = store
        self._hosts = hosts
        self._renew = renew

    async def outcome(self, call: Call) -> Attached | None:
        """The outcome that a host wrote down when nobody fetched it."""
        return _outcome(call, await self._stored(call))

    async def whole(self, call: Call) -> Call:
        """The call with what a server wants back from an attempt before; that is kept apart from records."""
        resume = call.resume if isinstance(call, ToolCall) else None
        if resume is None or resume.state_digest is None or resume.state is not None:
            return call
        found = await self._store.blobs(call.tenant, [resume.state_digest])
        state = found[resume.state_digest].decode()
        return call.model_copy(update={"resume": resume.model_copy(update={"state": state})})

    async def _stored(self, call: Call) -> StoredResult | None:
        for result in await self._store.results(call.tenant, call.journal_id, call.call_id):
            if (result.call_id, result.attempt) == (call.call_id, call.attempt):
                return result
        return None

    async def after(self, call: Call, gone: HostGone) -> CallAnswered | CallLost | None:
        """What became of an attempt whose host is another incarnation; None when it is too early to say."""
        try:
            if isinstance(call, ToolCall) and not await self._hosts.confirmed_dead(call.host):
                return None
            stored = await self._stored(call)
            heir = await self._renew(call)
            answer = _outcome(call, stored)
            found = UNCLEAR if answer else await self._reconciled(call, stored, heir)
        except GreenroomError as exc:
            log.info("cannot tell yet whether call %s is lost: %s", call.call_id, exc)
            return None
        if found.outcome is not None:
            answer = Attached(key=call.key, status=CallStatus.settled, outcome=found.outcome)
        if answer is not None:
            return CallAnswered(answer)
        lost = Attached(key=call.key, status=CallStatus.never_seen)
        return CallLost(lost, gone.detail, untouched=found.verdict is Verdict.not_done)

    async def _reconciled(self, call: Call, stored: StoredResult | None, heir: HostRef | None) -> Reconciled:
        """What the tool itself can tell; of what only reads there is nothing to tell."""
        if not isinstance(call, ToolCall) or call.effect is EffectClass.pure or heir is None:
            return UNCLEAR
        return await self._hosts.reconcile(heir, call, stored.facts if stored else None)


def _outcome(call: Call, stored: StoredResult | None) -> Attached | None:
    if stored is None or stored.outcome is None:
        return None
    outcome = OUTCOME.validate_json(stored.outcome)
    return Attached(key=call.key, status=CallStatus.settled, outcome=outcome)
