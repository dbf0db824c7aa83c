"""The service as the command sees it: requests out, plain values or one sentence back. Synchronous, needs no Ray."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from actors.errors import GreenroomError
from actors.llm.sse import SseDecoder
from serve_app.auth import is_loopback

DEFAULT_URL = "http://127.0.0.1:8000"

CONNECT_TIMEOUT_S = 5.0
"""A service that does not accept a connection within this time is not there."""

READ_TIMEOUT_S = 60.0
"""Longest wait for an answer that is no stream."""

STREAM_TIMEOUT_S = 60.0
"""Longest silence of a stream: four of the service's heartbeats."""


class ServiceUnreachable(GreenroomError):
    """Nothing answers at the address."""

    status = 503

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    @property
    def message(self) -> str:
        """What to do."""
        return (
            f"No Greenroom service answers at {self.url}. Start one with 'greenroom serve', or name another with --url "
            "or GREENROOM_URL."
        )


class ServiceError(GreenroomError):
    """The service refused; ``kind`` is the problem's code, the sentence is the service's own."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail

    @property
    def message(self) -> str:
        """The problem's detail."""
        return self.detail


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event: its type and its decoded data."""

    type: str
    data: dict[str, Any]


class ServiceClient:
    """A service at an address. Use it in a ``with`` block, which closes its connections."""

    def __init__(self, url: str, api_key: str | None = None, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=not is_loopback(urlsplit(self.url).hostname or ""),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, *, body: Any = None, params: dict[str, Any] | None = None) -> Any:
        """Send a request and decode the answer; None when there is no body.

        Raises:
            ServiceUnreachable, ServiceError.
        """
        try:
            response = self._http.request(method, path, json=body, params=params)
        except httpx.TransportError:
            raise ServiceUnreachable(self.url) from None
        if response.is_error:
            raise _refusal(response)
        return response.json() if response.content else None

    @contextmanager
    def stream(
        self, method: str, path: str, *, body: Any = None, params: dict[str, Any] | None = None
    ) -> Generator[Iterator[StreamEvent]]:
        """Open a stream of events.

        Raises:
            ServiceUnreachable, ServiceError: also while it is read.
        """
        headers = {"Accept": "text/event-stream"}
        timeout = httpx.Timeout(STREAM_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        try:
            with self._http.stream(
                method, path, json=body, params=params, headers=headers, timeout=timeout
            ) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield _events(response)
        except httpx.TransportError:
            raise ServiceUnreachable(self.url) from None


def session_path(session_id: str, rest: str = "") -> str:
    """The path of a session's resource."""
    return f"/v1/sessions/{quote(session_id, safe='')}{rest}"


def _refusal(response: httpx.Response) -> ServiceError:
    try:
        problem = response.json()
        return ServiceError(str(problem["code"]), str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        return ServiceError("Unknown", f"{response.url} answered {response.status_code}: is it a Greenroom service?")


def _events(response: httpx.Response) -> Iterator[StreamEvent]:
    decoder = SseDecoder("The service")
    for chunk in response.iter_bytes():
        for event in decoder.feed(chunk):
            data = json.loads(event.data)
            if event.event == "problem":
                raise ServiceError(str(data["code"]), str(data["detail"]))
            yield StreamEvent(event.event, data)
