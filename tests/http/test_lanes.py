"""Lane handlers and external tasks over HTTP: set, offered, claimed, completed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.serving import Running

LANE = "/v1/sessions/s/lanes/execute"
TASKS = "/v1/sessions/s/external-tasks"
DONE = {"success": True, "result": {"output": "done outside"}}
PROMPT = '/tool bash {"command": "echo inside"}\n/say Well.'


@pytest.fixture
def task(service: Running) -> dict[str, Any]:
    """The task that the turn of session ``s`` waits for."""
    service.create(permission_policy={"default_decision": "allow"})
    put = service.http.put(LANE, json={"mode": "external", "timeout_ms": 30_000})
    assert put.json() == service.http.get(LANE).json() == {"mode": "external", "timeout_ms": 30_000}
    sent = service.http.post("/v1/sessions/s/events", json={"prompt": PROMPT}).json()
    with service.stream("GET", "/v1/sessions/s/events/stream", params={"after": sent["seq"]}) as events:
        next(event for event in events if event.event == "task.offered")
    (task,) = service.http.get(TASKS).json()["items"]
    return task


def test_a_task_is_listed_and_its_result_ends_the_turn(service: Running, task: dict[str, Any]) -> None:
    assert (task["command_type"], task["payload"], task["lane"]) == ("bash", {"command": "echo inside"}, "execute")
    assert service.http.get("/v1/sessions/s").json()["activity"] == "waiting"
    (shown,) = service.http.get("/v1/actions").json()["items"]
    assert (shown["kind"], shown["action_id"]) == ("external_task", task["task_id"])
    assert service.http.get("/v1/external-tasks").json() == {"items": [task], "next": None}
    assert service.http.get("/v1/actions", params={"kind": "approval"}).json()["items"] == []

    for _ in range(2):
        assert service.http.post(f"{TASKS}/{task['task_id']}", json=DONE).status_code == 204

    with service.stream("GET", "/v1/sessions/s/events/stream") as events:
        seen = [next(events)]
        while seen[-1].event != "turn.completed":
            seen.append(next(events))
    assert "task.completed" in [event.event for event in seen]
    assert service.http.get(TASKS).json() == {"items": []}


def test_a_task_is_claimed_by_one_worker(service: Running, task: dict[str, Any]) -> None:
    path = f"{TASKS}/{task['task_id']}"
    claimed = service.http.post(f"{path}/lease", json={"worker": "w1", "lease_s": 30}).json()
    other = service.http.post(f"{path}/lease", json={"worker": "w2"})
    assert (other.status_code, other.json()["code"], other.json()["worker"]) == (409, "TaskLeased", "w1")
    lost = service.http.post(path, json=DONE)
    assert (lost.status_code, lost.json()["code"]) == (409, "TaskLeaseLost")
    assert service.http.post(path, json={**DONE, "lease_id": claimed["lease"]["lease_id"]}).status_code == 204


def test_lanes_are_configured_and_their_state_is_shown(service: Running) -> None:
    service.create(queue_config={"queryMaxConcurrency": 9, "enableMetrics": True})
    shown = service.http.get("/v1/sessions/s/lanes").json()
    assert (shown["stats"]["lanes"]["query"]["max_concurrency"], shown["dead_letters"]) == (9, [])
    assert shown["metrics"]["execute"] == {"started": 0, "completed": 0, "failed": 0, "retried": 0, "dead_lettered": 0}

    put = service.http.put("/v1/sessions/s/lanes", json={"lane_handlers": {"query": {"mode": "hybrid"}}})
    assert put.status_code == 204
    shown = service.http.get("/v1/sessions/s/lanes").json()
    assert (shown["stats"]["lanes"]["query"]["handler_mode"], shown["metrics"]) == ("hybrid", None)
    wrong = service.http.put("/v1/sessions/s/lanes", json={"query_max_concurrency": 0})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "InvalidRequest")


def test_what_cannot_be_taken_is_told(service: Running, task: dict[str, Any]) -> None:
    unknown = service.http.post(f"{TASKS}/task_{'0' * 20}", json=DONE)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "ExternalTaskNotFound")
    shapeless = service.http.post(f"{TASKS}/{task['task_id']}", json={"success": True, "result": "text"})
    assert (shapeless.status_code, shapeless.json()["code"]) == (422, "InvalidRequest")
    assert service.http.put("/v1/sessions/s/lanes/fast", json={}).status_code == 422
    assert service.http.put(LANE, json={"mode": "sideways"}).status_code == 422
    assert service.http.get("/v1/sessions/none/external-tasks").status_code == 404
