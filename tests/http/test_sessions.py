"""Sessions over HTTP: create, list, look, configure, destroy, children."""

from __future__ import annotations

from typing import Any

import pytest

from actors import errors
from tests.http.serving import Running


def test_a_created_session_is_where_the_location_says(service: Running) -> None:
    response = service.http.post("/v1/sessions", json={"session_id": "one", "config": {"name": "First"}})

    assert response.status_code == 201
    found = service.http.get(response.headers["location"])
    assert found.json() == response.json()
    assert (found.json()["session_id"], found.json()["name"], found.json()["state"]) == ("one", "First", "active")


def test_without_an_id_the_service_makes_one_up(service: Running) -> None:
    first, second = (service.http.post("/v1/sessions", json={}).json()["session_id"] for _ in range(2))

    assert first != second
    assert service.http.get(f"/v1/sessions/{first}").status_code == 200


def test_the_same_idempotency_key_creates_one_session(service: Running) -> None:
    headers = {"Idempotency-Key": "order 66"}
    first, second = (service.http.post("/v1/sessions", json={}, headers=headers) for _ in range(2))

    assert first.json()["journal_id"] == second.json()["journal_id"]
    other = service.http.post("/v1/sessions", json={"config": {"name": "x"}}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "CommandConflict")


@pytest.mark.parametrize(
    "change",
    [{"system_prompt": "A"}, {"system_prompt": None}, {"budget": {"tokens": 1000}}, {"thinking_budget": 2048}],
)
def test_a_change_that_is_sent_again_under_its_key_undoes_nothing(service: Running, change: dict[str, Any]) -> None:
    def configured() -> list[Any]:
        records = service.http.get("/v1/sessions/s/export").json()["records"]
        return [one for one in records if one["type"] == "session.configured"]

    service.create("s", system_prompt="first")
    key = {"Idempotency-Key": "k"}
    first = service.http.patch("/v1/sessions/s", json=change, headers=key)
    service.http.patch("/v1/sessions/s", json={"system_prompt": "B", "thinking_budget": 4096})
    before = configured()
    again = service.http.patch("/v1/sessions/s", json=change, headers=key)
    other = service.http.patch("/v1/sessions/s", json={"system_prompt": "C"}, headers=key)

    assert (first.status_code, again.status_code, other.json()["code"]) == (200, 200, "CommandConflict")
    assert configured() == before and len(before) == 2


def test_a_change_is_made_whole_or_not_at_all(service: Running) -> None:
    service.create("s", name="before")

    refused = service.http.patch("/v1/sessions/s", json={"name": "after", "system_prompt": "\U0001f600" * 100_000})

    assert refused.status_code == 422
    assert service.http.get("/v1/sessions/s").json()["name"] == "before"


def test_a_session_is_cleared_once_for_one_key(service: Running) -> None:
    service.create("s")
    key = {"Idempotency-Key": "k"}
    service.ask("first")
    service.http.post("/v1/sessions/s/clear", headers=key)
    service.ask("second")

    assert service.http.post("/v1/sessions/s/clear", headers=key).status_code == 200
    assert len(service.http.get("/v1/sessions/s/messages").json()["items"]) == 2


def test_an_existing_id_is_a_conflict_with_the_same_sentence_as_in_python(service: Running) -> None:
    service.create("one")

    response = service.http.post("/v1/sessions", json={"session_id": "one"})

    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"] == errors.SessionExists(["one"]).message
    assert response.json()["instance"] == "/v1/sessions"


@pytest.mark.parametrize(("session_id", "reason"), [("", "is empty"), ("a/b", "has characters"), ("..", "dot")])
def test_an_invalid_id_says_what_is_wrong(shared: Running, session_id: str, reason: str) -> None:
    response = shared.http.post("/v1/sessions", json={"session_id": session_id})

    assert (response.status_code, response.json()["code"]) == (422, "InvalidSessionId")
    assert reason in response.json()["detail"]


def test_an_unknown_provider_is_refused_before_anything_is_written(shared: Running) -> None:
    response = shared.http.post("/v1/sessions", json={"session_id": "x", "config": {"model": "nobody/model"}})

    assert (response.status_code, response.json()["code"]) == (422, "UnknownProvider")
    assert shared.http.get("/v1/sessions/x").json()["code"] == "SessionNotFound"


def test_a_model_name_without_a_provider_is_refused(shared: Running) -> None:
    response = shared.http.post("/v1/sessions", json={"config": {"model": "gpt"}})

    assert (response.status_code, response.json()["code"]) == (422, "InvalidConfig")


def test_a_misspelt_member_is_refused_by_name(shared: Running) -> None:
    response = shared.http.post("/v1/sessions", json={"config": {"sytem_prompt": "x"}})

    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == "body.config.sytem_prompt"


def test_many_sessions_are_created_together_or_not_at_all(service: Running) -> None:
    service.create("b")

    refused = service.http.post("/v1/sessions/bulk", json={"session_ids": ["a", "b", "c"]})
    done = service.http.post("/v1/sessions/bulk", json={"session_ids": ["x", "y"]})

    assert (refused.status_code, refused.json()["session_ids"]) == (409, ["b"])
    assert (done.status_code, done.json()) == (201, {"session_ids": ["x", "y"]})
    names = {info["session_id"] for info in service.http.get("/v1/sessions").json()["items"]}
    assert names == {"b", "x", "y"}


def test_listing_pages_through_everything_once(service: Running) -> None:
    service.http.post("/v1/sessions/bulk", json={"session_ids": [f"s{n}" for n in range(7)]})
    seen: list[str] = []
    after: str | None = None

    while True:
        page = service.http.get("/v1/sessions", params={"limit": 3, **({"after": after} if after else {})}).json()
        seen += [info["session_id"] for info in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert sorted(seen) == [f"s{n}" for n in range(7)]


def test_listing_filters(service: Running) -> None:
    service.create("parent", name="Big plan")
    service.http.post("/v1/sessions/parent/children", json={"session_id": "child"})
    service.http.post("/v1/sessions/parent/pause")

    def ids(**params: str | bool) -> list[str]:
        return [info["session_id"] for info in service.http.get("/v1/sessions", params=params).json()["items"]]

    assert ids(parent_id="parent") == ["child"]
    assert ids(roots_only=True) == ["parent"]
    assert ids(state="paused") == ["parent"]
    assert ids(name_contains="plan") == ["parent"]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"state": "asleep"}, {"after": "not-a-cursor"}])
def test_a_listing_that_cannot_be_is_refused(shared: Running, params: dict[str, str]) -> None:
    response = shared.http.get("/v1/sessions", params=params)

    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")


def test_only_given_members_are_configured(service: Running) -> None:
    service.create("s", name="before")

    assert service.http.patch("/v1/sessions/s", json={"model": "scripted/echo"}).json()["name"] == "before"
    renamed = service.http.patch("/v1/sessions/s", json={"name": "after", "system_prompt": "Be brief."}).json()

    assert (renamed["name"], renamed["model"]) == ("after", "scripted/echo")


def test_a_destroyed_session_is_gone_and_destroying_it_again_changes_nothing(service: Running) -> None:
    service.create("s")

    assert service.http.delete("/v1/sessions/s").json() == {"changed": True}
    assert service.http.delete("/v1/sessions/s").json() == {"changed": False}
    gone = service.http.get("/v1/sessions/s")
    assert (gone.status_code, gone.json()["detail"]) == (404, errors.SessionNotFound("s").message)


def test_children_are_listed_by_their_parent(service: Running) -> None:
    service.create("p")

    child = service.http.post("/v1/sessions/p/children", json={"session_id": "c"})

    assert (child.status_code, child.json()["parent_id"]) == (201, "p")
    assert child.json()["model"] == "scripted/prompt"
    assert service.http.get("/v1/sessions/p/children").json() == {"items": ["c"]}


def test_a_child_id_in_use_is_refused_and_the_parent_goes_on(service: Running) -> None:
    service.create("p")
    service.create("taken")

    refused = service.http.post("/v1/sessions/p/children", json={"session_id": "taken"})

    assert (refused.status_code, refused.json()["session_ids"]) == (409, ["taken"])
    assert service.ask("still here", "p").json()["text"] == "still here"


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/sessions/a..b"), ("DELETE", "/v1/sessions/%C3%97")])
def test_an_invalid_id_in_the_path_is_refused_like_one_in_a_body(shared: Running, method: str, path: str) -> None:
    response = shared.http.request(method, path)

    assert (response.status_code, response.json()["code"]) == (422, "InvalidSessionId")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("GET", "/events"),
        ("GET", "/events/stream"),
        ("POST", "/events"),
        ("GET", "/turns"),
        ("GET", "/turns/t"),
        ("GET", "/inputs"),
        ("DELETE", "/inputs/i"),
        ("GET", "/messages"),
        ("GET", "/context"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/interrupt"),
        ("POST", "/clear"),
        ("GET", "/actions"),
        ("GET", "/policy"),
    ],
)
def test_every_resource_of_an_unknown_session_is_not_found(shared: Running, method: str, path: str) -> None:
    body = {"POST/events": {"prompt": "x"}, "PATCH": {"name": "x"}}.get(method + path)

    response = shared.http.request(method, f"/v1/sessions/nobody{path}", json=body)

    assert (response.status_code, response.json()["code"]) == (404, "SessionNotFound")
    assert response.headers["content-type"] == "application/problem+json"
