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
