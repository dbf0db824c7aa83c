"""``POST .../compact``: what it answers, and the events that tell of it."""

from __future__ import annotations

from tests.http.serving import Running

_MODEL = {
    "provider": "scripted",
    "model": "script",
    "options": {"steps": [{"text": "Yes."}], "summary": {"text": "Short.", "delay_s": 0.05}},
}


def _filled(service: Running) -> None:
    service.create(model=_MODEL)
    for number in range(40):
        message = {"role": "user", "content": [{"type": "text", "text": f"m{number}"}]}
        assert service.http.post("/v1/sessions/s/messages", json=message).status_code == 201


def test_a_context_is_compacted_and_the_answer_says_by_how_much(service: Running) -> None:
    _filled(service)
    done = service.http.post("/v1/sessions/s/compact")

    assert done.status_code == 200
    body = done.json()
    assert (body["changed"], body["pending"]) == (True, False)
    assert (body["compaction"]["removed_messages"], body["compaction"]["after_messages"]) == (18, 23)
    assert len(service.http.get("/v1/sessions/s/messages").json()["items"]) == 23
    types = [event["type"] for event in service.http.get("/v1/sessions/s/events?limit=1000").json()["items"]]
    assert [one for one in types if one.startswith("session.compact")] == ["session.compacting", "session.compacted"]

    again = service.http.post("/v1/sessions/s/compact")
    assert again.json() == {"changed": False, "pending": False, "compaction": None}
    assert service.http.post("/v1/sessions/s/compact?only_when_due=true").json()["changed"] is False


def test_one_that_takes_longer_than_the_client_waits_goes_on(service: Running) -> None:
    _filled(service)
    key = {"Idempotency-Key": "k"}
    first = service.http.post("/v1/sessions/s/compact?timeout=0.001", headers=key)
    assert (first.status_code, first.json()["pending"]) == (202, True)

    second = service.http.post("/v1/sessions/s/compact", headers=key)
    assert second.json()["compaction"]["after_messages"] == 23


def test_a_session_that_is_not_there_is_a_problem(service: Running) -> None:
    assert service.http.post("/v1/sessions/nobody/compact").status_code == 404
