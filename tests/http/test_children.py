"""Children over HTTP: started with tasks, waited for, listed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.llm.sse import ServerSentEvent
from tests.http.serving import Running

PATH = "/v1/sessions/s/children"


def spawn(service: Running, *children: dict[str, Any], **options: Any) -> Any:
    return service.http.post(PATH, json={"children": children}, **options)


def results(service: Running, **params: Any) -> Any:
    return service.http.get(f"{PATH}/results", params=params)


def test_children_are_started_with_tasks_and_waited_for(service: Running) -> None:
    service.create()

    made = spawn(service, {"prompt": "/say one"}, {"prompt": "/say two", "session_id": "second"})

    assert made.status_code == 201
    first, second = made.json()["session_ids"]
    assert second == "second"
    waited = results(service, wait="all")
    assert waited.status_code == 200
    assert [(one["child_id"], one["outcome"], one["text"]) for one in waited.json()["items"]] == [
        (first, "completed", "one"),
        ("second", "completed", "two"),
    ]
    assert results(service, wait="1").json()["items"][0]["outcome"] == "completed"
    assert service.http.get(PATH).json() == {"items": [first, "second"]}


def test_a_wait_that_runs_out_answers_how_the_children_stand(service: Running) -> None:
    service.create()
    spawn(service, {"prompt": "/sleep 30"}, {"prompt": "/say quick"})
    assert results(service, wait="first").json()["items"][0]["text"] == "quick"

    late = results(service, wait="all", timeout=0.01)

    assert late.status_code == 202
    assert [one["outcome"] for one in late.json()["items"]] == [None, "completed"]
    assert results(service).json() == late.json()


def test_what_a_child_asks_is_listed_and_decided_at_its_parent(service: Running) -> None:
    service.create()
    spawn(service, {"prompt": "/tool ls {}\n/say done", "session_id": "kid", "config": {"model": "scripted/prompt"}})
    with service.stream("GET", "/v1/sessions/kid/events/stream") as events:
        assert any(event.event == "action.requested" for event in events)
    listed = service.http.get("/v1/sessions/s/actions").json()["items"]

    assert [(one["session_id"], one["kind"], one["tool"]) for one in listed] == [("kid", "approval", "ls")]
    path = f"/v1/sessions/s/actions/{listed[0]['action_id']}"
    assert service.http.get("/v1/sessions/s/actions", params={"scope": "self"}).json()["items"] == []
    assert service.http.get("/v1/sessions/s/actions", params={"kind": "in_doubt"}).json()["items"] == []
    assert service.http.get("/v1/sessions/s/actions", params={"scope": "all"}).status_code == 422
    assert service.http.post(path, json={"resolution": "approve"}).status_code == 204
    assert results(service, wait="all").json()["items"][0]["text"] == "done"
    again = service.http.post(path, json={"resolution": "reject"})
    assert (again.status_code, again.json()["code"]) == (409, "ActionSettled")


def test_the_same_key_starts_children_once(service: Running) -> None:
    service.create()
    key = {"Idempotency-Key": "order-1"}

    first = spawn(service, {"prompt": "/say one"}, headers=key)
    again = spawn(service, {"prompt": "/say one"}, headers=key)
    other = spawn(service, {"prompt": "/say other"}, headers=key)

    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (409, "CommandConflict")
    assert len(service.http.get(PATH).json()["items"]) == 1


@pytest.mark.parametrize(
    ("children", "status", "code"),
    [
        ([], 422, "InvalidRequest"),
        ([{"prompt": " "}], 422, "InvalidRequest"),
        ([{"prompt": "x", "session_id": "a/b"}], 422, "InvalidSessionId"),
        ([{"prompt": "x", "more": 1}], 422, "InvalidRequest"),
        ([{"prompt": "x"}, {"prompt": "x", "session_id": "s"}], 409, "SessionExists"),
        ([{"prompt": "x", "config": {"model": "nobody/x"}}], 422, "UnknownProvider"),
    ],
)
def test_children_that_cannot_be_started_are_refused(
    service: Running, children: list[dict[str, Any]], status: int, code: str
) -> None:
    service.create()

    refused = spawn(service, *children)

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert service.http.get(PATH).json() == {"items": []}


@pytest.mark.parametrize("wait", ["some", "0", "-1", "7"])
def test_waiting_for_what_cannot_come_is_refused(service: Running, wait: str) -> None:
    service.create()
    assert results(service, wait=wait).status_code == 422


def test_children_of_nobody_are_not_found(service: Running) -> None:
    assert spawn(service, {"prompt": "x"}).status_code == 404
    assert results(service, wait="all").status_code == 404


def test_a_reserved_form_of_key_is_refused(service: Running) -> None:
    service.create()
    key = {"Idempotency-Key": "01M8BW37T84E3HHW7MRD9AB2ET:7"}
    refused = service.http.post("/v1/sessions/s/events", json={"prompt": "x"}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (422, "InvalidRequest")


def test_the_tree_of_a_session_and_its_end_with_everything_below_it(service: Running) -> None:
    service.create()
    spawn(service, {"prompt": "/say one", "session_id": "c"})
    results(service, wait="all")

    tree = service.http.get("/v1/sessions/s/tree").json()
    assert (tree["sessions"], tree["children"][0]["session"]["session_id"]) == (2, "c")
    assert service.http.delete("/v1/sessions/s", params={"cascade": True, "purge": True}).status_code == 422
    assert service.http.delete("/v1/sessions/s", params={"cascade": True}).json() == {"changed": True}
    assert service.http.get("/v1/sessions/c").status_code == 404
    assert service.http.get("/v1/sessions/s/tree").status_code == 404


def test_who_waits_for_a_parents_turn_in_vain_is_told_what_its_children_ask(service: Running) -> None:
    service.create()
    spawn(service, {"prompt": "/tool ls {}", "session_id": "kid", "config": {"model": "scripted/prompt"}})
    with service.stream("GET", "/v1/sessions/kid/events/stream") as events:
        assert any(event.event == "action.requested" for event in events)

    late = service.ask("/sleep 60", timeout=0.05)

    assert (late.status_code, late.json()["why"]) == (202, "timeout")
    assert [(one["session_id"], one["tool"]) for one in late.json()["actions"]] == [("kid", "ls")]


def test_the_stream_of_a_tree_tells_that_a_child_waits_and_goes_on_where_it_was(service: Running) -> None:
    service.create()
    spawn(service, {"prompt": "/tool ls {}\n/say done", "session_id": "kid", "config": {"model": "scripted/prompt"}})
    path, tree = "/v1/sessions/s/events/stream", {"scope": "tree"}
    with service.stream("GET", path, params=tree) as events:
        seen = [next(events)]
        while seen[-1].event != "action.requested":
            seen.append(next(events))
    assert [one.event for one in seen].count("tree.joined") == 2
    assert json.loads(seen[-1].data)["session_id"] == "kid"

    middle = next(one for one in seen if one.event == "turn.started")
    with service.stream("GET", path, params=tree, headers={"Last-Event-ID": middle.id or ""}) as events:
        rest = [next(events)]
        while rest[-1].event != "action.requested":
            rest.append(next(events))
    told = [(one["session_id"], one["seq"]) for one in _records(seen[: seen.index(middle) + 1] + rest)]
    assert sorted(told) == sorted({(one["session_id"], one["seq"]) for one in _records(seen)})
    for wrong in ("s=x", "s=1;../=2", "s=1;;", "x"):
        assert service.http.get(path, params=tree | {"after": wrong}).status_code == 422, wrong


def _records(events: list[ServerSentEvent]) -> list[dict[str, Any]]:
    kept = [one for one in events if one.event not in {"tree.joined", "message.delta", "tool.output.delta"}]
    return [json.loads(one.data) for one in kept]
