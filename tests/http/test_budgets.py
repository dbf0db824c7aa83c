"""A budget over HTTP: bounded, reached, asked about, raised, looked at."""

from __future__ import annotations

from tests.http.serving import Running


def test_a_turn_whose_budget_is_used_up_is_in_the_inbox_and_goes_on_once_more_is_granted(service: Running) -> None:
    service.create(budget={"tokens": 1, "wall_s": 3600})
    service.ask("one")
    path, params, key = "/v1/sessions/s/events", {"wait": "turn"}, {"Idempotency-Key": "k"}
    waiting = service.http.post(path, params=params, headers=key, json={"prompt": "two"})
    (action,) = service.http.get("/v1/actions", params={"kind": "budget"}).json()["items"]
    decide = f"/v1/sessions/s/actions/{action['action_id']}"
    useless = service.http.post(decide, json={"resolution": "approve", "args": {"usd": 5}})
    granted = service.http.post(decide, json={"resolution": "approve", "args": {"tokens": 1_000_000}})
    again = service.http.post(decide, json={"resolution": "reject"})
    done = service.http.post(path, params=params, headers=key, json={"prompt": "two"})
    budget = service.http.get("/v1/sessions/s/usage").json()["budget"]

    assert (waiting.status_code, waiting.json()["why"]) == (202, "requires_action")
    assert (action["tool"], action["call_index"], list(action["args"])) == ("", -1, ["tokens"])
    assert (useless.status_code, granted.status_code, again.status_code) == (422, 204, 409)
    assert done.json()["text"] == "two"
    assert budget == service.http.get("/v1/sessions/s").json()["budget"]
    assert (budget["budget"]["tokens"], budget["raised"]["tokens"]) == (1_000_001, 1_000_000)
    assert 0 < budget["remaining"]["tokens"] < 1_000_001


def test_a_rejected_question_is_a_turn_that_failed_for_its_budget(service: Running) -> None:
    service.create(budget={"tokens": 0})
    service.ask("one")
    (action,) = service.http.get("/v1/sessions/s/actions").json()["items"]
    service.http.post(f"/v1/sessions/s/actions/{action['action_id']}", json={"resolution": "reject"})
    (turn,) = service.http.get("/v1/sessions/s/turns").json()["items"]
    assert (turn["status"], turn["error_code"]) == ("failed", "BudgetExceeded")


def test_a_budget_is_configured_and_lifted(service: Running) -> None:
    service.create()
    assert service.http.get("/v1/sessions/s").json()["budget"] is None
    changed = service.http.patch("/v1/sessions/s", json={"budget": {"usd": 1.5}, "thinking_budget": 2048}).json()
    assert (changed["budget"]["budget"]["usd"], changed["budget"]["remaining"]["usd"]) == ("1.5", "1.5")
    for wrong in ({"tokens": -1}, {"gold": 1}, {"usd": "much"}):
        assert service.http.patch("/v1/sessions/s", json={"budget": wrong}).status_code == 422
    assert service.http.patch("/v1/sessions/s", json={"budget": {}}).json()["budget"] is None


def test_the_children_of_a_session_have_part_of_its_budget(service: Running) -> None:
    service.create(budget={"tool_calls": 9})
    spawned = service.http.post(
        "/v1/sessions/s/children",
        json={"children": [{"prompt": "/say one", "config": {"budget": {"tool_calls": 4}}}, {"prompt": "/say two"}]},
    )
    too_much = service.http.post(
        "/v1/sessions/s/children", json={"children": [{"prompt": "x", "config": {"budget": {"tool_calls": 10}}}]}
    )
    tree = service.http.get("/v1/sessions/s/tree").json()

    assert spawned.status_code == 201, spawned.text
    assert (too_much.status_code, "left" in too_much.text) == (422, True)
    leases = [child["session"]["budget"]["lease"]["amounts"]["tool_calls"] for child in tree["children"]]
    assert leases == [4, 2]
