"""Task lists over HTTP."""

from __future__ import annotations

from tests.http.serving import Running


def test_a_task_list_is_put_and_read(service: Running) -> None:
    service.create()
    assert service.http.get("/v1/sessions/s/tasks").json() == {"items": []}

    put = service.http.put("/v1/sessions/s/tasks", json={"tasks": [{"id": "1", "content": "Read", "status": "done"}]})

    assert (put.status_code, put.json()["items"][0]["status"]) == (200, "completed")
    assert service.http.get("/v1/sessions/s/tasks").json() == put.json()


def test_a_list_that_is_none_is_a_problem(service: Running) -> None:
    service.create()

    for body in ({}, {"tasks": [{"id": "1"}]}, {"tasks": [{"id": "1", "content": "x"}] * 2}, {"tasks": [], "more": 1}):
        assert service.http.put("/v1/sessions/s/tasks", json=body).status_code == 422
    assert service.http.get("/v1/sessions/nobody/tasks").status_code == 404
