"""What a client over HTTP sees of a store that cannot write: a problem with a time to come back, and an event."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence

import httpx
import pytest

from actors.domain.journal import Appended, AppendPart, Refused
from actors.errors import StoreUnavailable
from actors.llm.sse import ServerSentEvent
from actors.storage.memory import MemoryBackend
from serve_app.cli_events import summary
from tests.http.serving import Running, running


def send(service: Running) -> httpx.Response:
    """The same input, each time."""
    headers = {"Idempotency-Key": "once"}
    return service.http.post("/v1/sessions/s/events", json={"prompt": "hello"}, headers=headers)


def until(events: Iterator[ServerSentEvent], last: str) -> list[str]:
    seen: list[str] = []
    while last not in seen:
        seen.append(next(events).event)
    return seen


def test_inputs_get_503_with_retry_after_and_streams_the_event_until_it_heals(monkeypatch: pytest.MonkeyPatch) -> None:
    append, full = MemoryBackend.append, threading.Event()

    def failing(self: MemoryBackend, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        if full.is_set():
            raise StoreUnavailable("the disk is full")
        return append(self, parts)

    monkeypatch.setattr(MemoryBackend, "append", failing)
    monkeypatch.setattr("actors.session.committer.ACKNOWLEDGE_WITHIN_S", 0.1)
    with running() as service:
        service.create("s")
        with service.stream("GET", "/v1/sessions/s/events/stream") as events:
            assert next(events).event == "session.created"
            full.set()
            refused = send(service)

            assert refused.status_code == 503
            assert refused.json()["code"] == "StoreUnavailable"
            assert int(refused.headers["retry-after"]) >= 1
            told = next(events)
            assert told.event == "session.persistence_failed"
            assert "the disk is full" in summary(json.loads(told.data))
            assert service.http.get("/v1/sessions/s/messages").status_code == 200, "reads go on"

            full.clear()
            while (again := send(service)).status_code == 503:
                pass
            assert again.status_code == 202
            seen = until(events, "turn.completed")
        assert seen.count("user.message") == 1
