"""Usage over HTTP."""

from __future__ import annotations

from tests.http.serving import Running


def test_usage_of_a_session_and_of_all_is_answered(service: Running) -> None:
    service.create()
    service.ask("hello")

    one = service.http.get("/v1/sessions/s/usage").json()
    assert (one["total"]["calls"], one["total"]["unpriced_calls"]) == (1, 1)
    assert one["by_model"][0]["model"] == "scripted/prompt"
    assert service.http.get("/v1/sessions/s/usage?scope=tree").json() == one
    assert service.http.get("/v1/usage").json() == one
    assert service.http.get("/v1/usage?until=2000-01-01").json()["total"]["calls"] == 0
    assert service.http.get("/v1/usage?since=yesterday").status_code == 422
    assert service.http.get("/v1/sessions/nobody/usage").status_code == 404
