"""``greenroom events``: the journal of a session on a terminal, and what happens next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from serve_app.client import ServiceClient, session_path
from serve_app.terminal import block_text, out, plain

PAGE = 500
"""Records asked for at a time."""

_MAX_LINE = 300
"""Characters of a summary; --json prints everything."""


def show_events(client: ServiceClient, session_id: str, *, after: int, follow: bool, as_json: bool) -> None:
    """Print events, one a line, until there are no more or, with ``follow``, until Ctrl-C."""
    source = _followed(client, session_id, after, as_json) if follow else _paged(client, session_id, after)
    try:
        for event in source:
            _show(event, as_json)
    except KeyboardInterrupt:
        return


def _paged(client: ServiceClient, session_id: str, after: int) -> Iterator[dict[str, Any]]:
    cursor: str | None = str(after)
    while cursor is not None:
        page = client.call("GET", session_path(session_id, "/events"), params={"after": cursor, "limit": PAGE})
        yield from page["items"]
        cursor = page["next"]


def _followed(client: ServiceClient, session_id: str, after: int, deltas: bool) -> Iterator[dict[str, Any]]:
    params = {"after": str(after), "deltas": deltas}
    with client.stream("GET", session_path(session_id, "/events/stream"), params=params) as events:
        for event in events:
            yield event.data


def _show(event: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out().print(json.dumps(event, ensure_ascii=False), soft_wrap=True)
        return
    moment = str(event.get("at", ""))[11:19]
    line = Text.assemble((f"{event.get('seq', ''):>6} {moment} ", "dim"), (f"{event['type']:<22} ", "bold"))
    line.append(plain(summary(event)[:_MAX_LINE]))
    out().print(line, soft_wrap=True)


def summary(event: dict[str, Any]) -> str:
    """What an event says, in one line."""
    if event["type"] == "session.persistence_failed":
        return str(event["error"])
    data = event.get("data", {})
    message = data.get("message")
    if isinstance(message, dict):
        said = " ".join(block_text(block) for block in message["content"])  # pyright: ignore[reportUnknownVariableType]
        return " ".join(said.split())
    for key in ("reason", "text", "message", "content", "error"):
        if isinstance(data.get(key), str):
            return " ".join(f"{data.get('name', '')} {data[key]}".split())
    return " ".join(f"{key}={value}" for key, value in data.items() if isinstance(value, str | int | float) and value)
