"""Telling hosts that outcomes are durable, so that they may forget them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from actors import faults
from actors.domain.calls import CallKey, HostRef
from actors.errors import Fenced, GreenroomError, HostGone
from actors.faults import Point
from actors.session.patience import answer_of
from actors.session.ports import Hosts

log = logging.getLogger(__name__)

ACK_DELAY_S = 0.01
"""How long an acknowledgement waits for others: a host keeps an outcome for as long as it takes."""

ACK_RETRIES_S = (0.1, 1.0, 10.0)
"""When it is tried again. A host that is not told by then writes the outcome to the store, where the next activation
finds it; this is for the moments in which a connection is broken."""


class Acks:
    """The acknowledgements of one activation."""

    def __init__(
        self,
        hosts: Hosts,
        journal_id: str,
        epoch: int,
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:
        self._hosts = hosts
        self._journal_id = journal_id
        self._epoch = epoch
        self._spawn = spawn
        self._waiting: dict[tuple[str, str], list[CallKey]] = {}

    def soon(self, host: HostRef, *keys: CallKey) -> None:
        """Acknowledge in a moment, together with others of the same host: the turn's own traffic goes first."""
        name = (host.host_id, host.incarnation)
        waiting = self._waiting.setdefault(name, [])
        if keys and not waiting:
            self._spawn(self._flush(host))
        waiting += keys

    async def _flush(self, host: HostRef) -> None:
        await asyncio.sleep(ACK_DELAY_S)
        keys = self._waiting.pop((host.host_id, host.incarnation))
        for pause in (*ACK_RETRIES_S, None):
            try:
                await self.now(host, keys)
                return
            except (Fenced, HostGone) as exc:
                log.info("%s calls need not be acknowledged: %s", len(keys), exc)
                return
            except GreenroomError as exc:
                log.info("%s calls were not acknowledged: %s", len(keys), exc)
            if pause is not None:
                await asyncio.sleep(pause)

    async def now(self, host: HostRef, keys: Sequence[CallKey]) -> None:
        """Acknowledge; raises what the host raises."""
        faults.hit(Point.ack_before)
        await answer_of(self._hosts.ack(host, self._journal_id, self._epoch, keys), host.host_id)
        faults.hit(Point.ack_after)
