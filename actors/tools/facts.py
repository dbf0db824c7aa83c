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

MAX_FACTS_BYTES = 64 * 1024
"""Facts of one attempt as JSON: hashes and names, not contents."""

RECORD_S = 10.0
"""How long a store that does not take them is tried: Ray starts a dead one again in about two seconds."""

_RETRY_S = 0.1


async def keep_facts(sink: ResultSink, call: ToolCall, facts: Mapping[str, Any]) -> None:
    """Return when the facts are durable.

    Raises:
        ToolError: They are no JSON, or too large, or the store does not take them.
    """
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
