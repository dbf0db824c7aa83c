"""Snapshots and purges over HTTP."""

from __future__ import annotations

from tests.http.serving import Running


def test_a_session_is_purged_once_by_one_key(service: Running) -> None:
    service.create()
    service.ask("first")
    key = {"Idempotency-Key": "end"}

    ends = [service.http.delete("/v1/sessions/s", params={"purge": True}, headers=key) for _ in range(2)]

    assert [(one.status_code, one.json()) for one in ends] == [(200, {"changed": True})] * 2
    assert service.http.get("/v1/sessions/s").status_code == 404
    assert service.http.delete("/v1/sessions/s", params={"purge": True}).json() == {"changed": False}
    assert service.http.delete("/v1/sessions/s", headers=key).status_code == 409


def test_a_snapshot_says_what_it_holds(service: Running) -> None:
    service.create()
    service.ask("first")

    taken = service.http.post("/v1/sessions/s/snapshot").json()

    assert taken["seq"] == service.http.get("/v1/sessions/s").json()["head_seq"]
    assert (taken["size"] > 0, len(taken["digest"])) == (True, 64)
    assert service.http.post("/v1/sessions/nobody/snapshot").status_code == 404
