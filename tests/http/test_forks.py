"""Forks over HTTP."""

from __future__ import annotations

from tests.http.serving import Running


def test_a_session_is_forked_where_it_was(service: Running) -> None:
    service.create()
    service.ask("first")
    then = service.http.get("/v1/sessions/s").json()["head_seq"]
    service.ask("second")

    made = service.http.post("/v1/sessions/s/fork", json={"session_id": "f", "at": then, "name": "Other"})

    assert (made.status_code, made.headers["location"]) == (201, "/v1/sessions/f")
    assert (made.json()["name"], made.json()["parent_id"], made.json()["messages"]) == ("Other", "s", 2)
    assert len(service.http.get("/v1/sessions/f/messages").json()["items"]) == 2


def test_the_same_key_forks_once_and_what_cannot_be_is_a_problem(service: Running) -> None:
    service.create()
    key = {"Idempotency-Key": "k"}

    first, again = (service.http.post("/v1/sessions/s/fork", json={"session_id": "f"}, headers=key) for _ in range(2))

    assert (again.status_code, again.json()["journal_id"]) == (201, first.json()["journal_id"])
    for body, status in (
        ({"session_id": "f"}, 409),
        ({"session_id": "g", "at": 9}, 422),
        ({"session_id": "g", "at": 0}, 422),
    ):
        assert service.http.post("/v1/sessions/s/fork", json=body).status_code == status
    assert service.http.post("/v1/sessions/nobody/fork", json={"session_id": "g"}).status_code == 404


def test_a_session_is_rewound(service: Running) -> None:
    service.create()
    service.ask("first")
    then = service.http.get("/v1/sessions/s").json()["head_seq"]
    service.ask("second")

    assert service.http.post("/v1/sessions/s/rewind", json={"to": then}).json() == {"changed": True}
    assert len(service.http.get("/v1/sessions/s/messages").json()["items"]) == 2
    assert service.http.post("/v1/sessions/s/rewind", json={"to": 1000}).status_code == 422


def _sessions(service: Running) -> set[str]:
    return {one["session_id"] for one in service.http.get("/v1/sessions").json()["items"]}


def test_alternatives_answer_side_by_side_and_the_same_key_finds_them(service: Running) -> None:
    service.create(model="scripted/echo")
    service.ask("first")
    then = service.http.get("/v1/sessions/s").json()["head_seq"]
    service.ask("second")
    body = {"prompts": ["a", "b"], "at": then}

    made, again = (
        service.http.post("/v1/sessions/s/forks", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )

    assert (made.status_code, again.json()) == (201, made.json())
    items = made.json()["items"]
    assert [(one["outcome"], one["text"], one["kept"]) for one in items] == [("completed", text, True) for text in "ab"]
    assert _sessions(service) == {"s", *(one["session_id"] for one in items)}
    assert len(service.http.get(f"/v1/sessions/{items[0]['session_id']}/messages").json()["items"]) == 4


def test_the_first_that_completes_is_kept_over_http_too(service: Running) -> None:
    service.create()

    made = service.http.post("/v1/sessions/s/forks", json={"prompts": ["/sleep 600", "/say here"], "join": "first"})

    lost, kept = made.json()["items"]
    assert made.status_code == 201
    assert (lost["outcome"], lost["kept"], kept["text"], kept["kept"]) == ("lost", False, "here", True)
    assert _sessions(service) == {"s", kept["session_id"]}


def test_what_is_not_over_in_time_is_accepted_and_stays(service: Running) -> None:
    service.create()

    made = service.http.post(
        "/v1/sessions/s/forks", json={"prompts": "/sleep 600", "n": 2, "join": "first"}, params={"timeout": 0.01}
    )

    assert (made.status_code, [one["outcome"] for one in made.json()["items"]]) == (202, ["pending"] * 2)
    assert len(_sessions(service)) == 3


def test_forks_that_make_no_sense_are_problems(service: Running) -> None:
    service.create()
    for body in ({"prompts": []}, {"prompts": "go"}, {"prompts": ["go"], "n": 2}, {"prompts": "go", "n": 257}, {}):
        assert service.http.post("/v1/sessions/s/forks", json=body).status_code == 422
    assert service.http.post("/v1/sessions/nobody/forks", json={"prompts": ["go"]}).status_code == 404
    assert _sessions(service) == {"s"}
