"""What a tool records before it takes effect: durable before the tool goes on, or the tool does not go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from actors import faults
from actors.domain.calls import ToolCall
from actors.effect_host.ports import ResultSink
from actors.errors import GreenroomError, ToolError
from actors.faults import Point
from actors.policy.security.guard import Guard
from actors.policy.security.redaction import Known

MAX_FACTS_BYTES = 64 * 1024
"""Facts of one attempt as JSON: hashes and names, not contents."""

RECORD_S = 10.0
"""How long a store that does not take them is tried: Ray starts a dead one again in about two seconds."""

_RETRY_S = 0.1


async def keep_facts(sink: ResultSink, call: ToolCall, facts: Mapping[str, Any], known: Known) -> None:
    """Return when the facts are durable.

    Args:
        known: Texts that are withheld from all sessions.

    Raises:
        ToolError: They are no JSON, too large, or hold a secret, or the store does not take them.
    """
    # What takes up the call again has to find them as they were: without the secret they would be of no use.
    secrets = Guard(call.security, known).secrets_in(facts)
    if secrets:
        raise ToolError(
            f"What the tool wanted to record holds a secret ({', '.join(secrets)}): record its hash instead."
        )
    try:
        encoded = json.dumps(dict(facts), ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError("What the tool wanted to record cannot be written as JSON.") from error
    if len(encoded) > MAX_FACTS_BYTES:
        raise ToolError(f"What the tool wanted to record is larger than {MAX_FACTS_BYTES >> 10} KiB.")
    try:
        async with asyncio.timeout(RECORD_S):
            await _saved(sink, call, encoded)
    except TimeoutError as error:
        raise ToolError("Nothing was changed: the store does not answer. Try again later.") from error


async def _saved(sink: ResultSink, call: ToolCall, encoded: bytes) -> None:
    while True:
        try:
            faults.hit(Point.record_before)
            await sink.save_facts(call.tenant, call.journal_id, call.call_id, call.attempt, encoded)
            faults.hit(Point.record_after)
            return
        except GreenroomError as error:
            if not error.retryable:
                raise ToolError(f"Nothing was changed: {error}") from error
        await asyncio.sleep(_RETRY_S)
