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
    for path in ("/v1/usage", "/v1/sessions/s/usage"):
        assert service.http.get(path, params={"model": "openai/gpt-4o"}).json()["total"]["calls"] == 0
        assert service.http.get(path, params={"model": "scripted/prompt"}).json()["total"]["calls"] > 0
    assert service.http.get("/v1/usage?since=yesterday").status_code == 422
    assert service.http.get("/v1/sessions/nobody/usage").status_code == 404


def test_tool_calls_are_counted_by_tool(service: Running) -> None:
    service.create(permission_policy={"default_decision": "allow"})
    service.ask("/tool ls {}\n/say done")

    metrics = service.http.get("/v1/sessions/s/tool-metrics").json()
    assert list(metrics["by_tool"]) == ["ls"]
    assert metrics["by_tool"]["ls"] == metrics["total"]
    assert (metrics["total"]["calls"], metrics["total"]["succeeded"]) == (1, 1)
    assert service.http.get("/v1/sessions/nobody/tool-metrics").status_code == 404
