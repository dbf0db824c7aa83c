"""Tools that ask, over HTTP: the question in the inbox, its answer, and what is refused."""

from __future__ import annotations

import sys

from tests.http.serving import Running
from tests.unit.mcp.servers import RAW


def test_a_question_of_a_tool_is_answered_over_http(service: Running) -> None:
    server = {"name": "raw", "transport": "stdio", "command": sys.executable, "args": ["-I", "-S", RAW]}
    added = service.http.post("/v1/mcp-servers", json=server)
    assert added.status_code in {200, 201}, added.text
    service.create("one", permission_policy={"allow": ["mcp__raw"]})
    service.http.post("/v1/sessions/one/events", json={"prompt": "/tool mcp__raw__ask {}\ndone"})
    with service.stream("GET", "/v1/sessions/one/events/stream") as events:
        for event in events:
            if event.event == "action.requested":
                break
    (action,) = service.http.get("/v1/actions", params={"kind": "input"}).json()["items"]
    assert (action["detail"], action["args"]["form"]["required"]) == ("question 1", ["name"])
    path = f"/v1/sessions/one/actions/{action['action_id']}"
    wrong = service.http.post(path, json={"resolution": "accept", "content": {"name": 3}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "InvalidRequest")
    assert service.http.post(path, json={"resolution": "accept", "content": {"name": "Ada"}}).status_code == 204
    assert service.http.post(path, json={"resolution": "decline"}).status_code == 409
    with service.stream("GET", "/v1/sessions/one/events/stream") as events:
        assert any(event.event == "turn.completed" for event in events)
