"""Titles over HTTP."""

from __future__ import annotations

from tests.http.serving import Running

_PATH = "/v1/sessions/s/title"


def test_a_title_becomes_the_name_and_one_key_asks_once(service: Running) -> None:
    options = {"title": {"text": "Of birds"}}
    service.create(model={"provider": "scripted", "model": "prompt", "options": options})
    assert service.http.post(_PATH).json() == {"title": None, "pending": False}
    service.ask("/say hello")

    first = service.http.post(_PATH, headers={"Idempotency-Key": "k"})
    again = service.http.post(_PATH, headers={"Idempotency-Key": "k"})

    assert first.status_code == 200
    assert first.json() == again.json() == {"title": "Of birds", "pending": False}
    assert service.http.get("/v1/sessions/s").json()["name"] == "Of birds"
    assert len(service.http.get("/v1/sessions/s/turns").json()["items"]) == 2


def test_one_that_takes_longer_than_the_client_waits_comes(service: Running) -> None:
    options = {"title": {"text": "Of birds", "delay_s": 0.2}}
    service.create(model={"provider": "scripted", "model": "prompt", "options": options})
    service.ask("/say hello")
    key = {"Idempotency-Key": "k"}

    early = service.http.post(_PATH, params={"timeout": 0.01}, headers=key)

    assert (early.status_code, early.json()) == (202, {"title": None, "pending": True})
    assert service.http.post(_PATH, headers=key).json()["title"] == "Of birds"
    assert service.http.post("/v1/sessions/nobody/title").status_code == 404
