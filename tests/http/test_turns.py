"""Inputs and what comes of them, over HTTP: receipts, waiting, streaming, turns, approvals."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from actors import errors
from actors.llm.sse import ServerSentEvent
from tests.http.serving import Running, running

_SSE = {"Accept": "text/event-stream"}
_TURN_ENDS = {"turn.completed", "turn.failed", "turn.cancelled"}


def _until(events: Any, *types: str) -> list[ServerSentEvent]:
    found: list[ServerSentEvent] = []
    for event in events:
        found.append(event)
        if event.event in types:
            return found
    raise AssertionError(f"the stream ended before any of {types}: {[event.event for event in found]}")


def test_an_input_is_answered_with_a_receipt_at_once(service: Running) -> None:
    service.create()

    response = service.http.post("/v1/sessions/s/events", json={"prompt": "/sleep 30"})

    assert response.status_code == 202
    assert response.json() | {"journal_id": "", "input_id": "", "seq": 0} == {
        "session_id": "s",
        "journal_id": "",
        "input_id": "",
        "seq": 0,
        "why": "accepted",
        "actions": [],
    }


def test_waiting_for_the_turn_gives_its_result(service: Running) -> None:
    service.create()

    response = service.ask("hello there")

    assert (response.status_code, response.json()["text"]) == (200, "hello there")
    assert response.json()["usage"]["total_tokens"] > 0


def test_an_answer_in_a_form_is_a_value_beside_its_text(service: Running) -> None:
    service.create()
    schema = {"type": "object", "properties": {"grams": {"type": "integer"}}, "required": ["grams"]}

    def ask(prompt: str) -> httpx.Response:
        wanted = {"prompt": prompt, "output_schema": schema}
        return service.http.post("/v1/sessions/s/events", params={"wait": "turn"}, json=wanted)

    fits, wrong = ask('/say {"grams": 150}'), ask("/say heavy")
    refused = service.http.post("/v1/sessions/s/events", json={"prompt": "go", "output_schema": {"type": "weight"}})

    assert (fits.status_code, fits.json()["output"]) == (200, {"grams": 150})
    assert (wrong.status_code, wrong.json()["code"]) == (502, "OutputInvalid")
    assert (refused.status_code, refused.json()["code"]) == (422, "InvalidRequest")


def test_a_message_of_content_blocks_is_an_input_too(service: Running) -> None:
    service.create()
    message = {"role": "user", "content": [{"type": "text", "text": "as blocks"}]}

    response = service.http.post("/v1/sessions/s/events", params={"wait": "turn"}, json={"message": message})

    assert response.json()["text"] == "as blocks"


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": "a", "message": {}}, {"prompt": 1}, [], "text", None])
def test_an_input_of_another_shape_is_refused(service: Running, body: Any) -> None:
    service.create()

    response = service.http.post("/v1/sessions/s/events", json=body)

    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")


def test_a_wait_that_runs_out_gives_the_receipt_and_the_same_key_waits_on(service: Running) -> None:
    service.create()
    path, body, headers = "/v1/sessions/s/events", {"prompt": "/sleep 0.5\n/say late"}, {"Idempotency-Key": "k"}

    pending = service.http.post(path, params={"wait": "turn", "timeout": 0.05}, json=body, headers=headers)
    done = service.http.post(path, params={"wait": "turn"}, json=body, headers=headers)

    assert (pending.status_code, pending.json()["why"]) == (202, "timeout")
    assert (done.status_code, done.json()["text"]) == (200, "late")
    assert len(service.http.get("/v1/sessions/s/turns").json()["items"]) == 1


def test_a_failed_turn_is_a_problem_with_the_sentence_of_the_failure(service: Running) -> None:
    service.create(circuit_breaker_threshold=1)

    response = service.ask("/fail auth")

    assert response.status_code == errors.ModelAuthFailed.status
    assert response.json()["code"] == "ModelAuthFailed"


def test_a_session_without_a_model_says_so(service: Running) -> None:
    with running(model=None) as bare:
        bare.http.post("/v1/sessions", json={"session_id": "s"})

        response = bare.ask("hello")

    assert (response.status_code, response.json()["detail"]) == (409, errors.NoModel("s").message)


def test_a_paused_session_refuses_input_until_it_is_resumed(service: Running) -> None:
    service.create()

    assert service.http.post("/v1/sessions/s/pause").json() == {"changed": True}
    refused = service.ask("hello")
    assert service.http.post("/v1/sessions/s/resume").json() == {"changed": True}

    assert (refused.status_code, refused.json()["detail"]) == (409, errors.SessionPaused("s").message)
    assert service.ask("hello").status_code == 200


def test_a_turn_streams_from_its_input_to_its_end(service: Running) -> None:
    service.create(model={"provider": "scripted", "model": "prompt", "options": {"token_delay_s": 0.02}})

    body = {"prompt": "one two three four"}
    with service.stream("POST", "/v1/sessions/s/events", json=body, headers=_SSE) as events:
        seen = list(events)

    assert [seen[0].event, seen[-1].event] == ["user.message", "turn.completed"]
    deltas = [json.loads(event.data) for event in seen if event.event == "message.delta"]
    assert len(deltas) > 1
    assert "".join(delta["text"] for delta in deltas) == "one two three four"


def test_a_viewer_that_leaves_changes_nothing(service: Running) -> None:
    service.create(permission_policy={"default_decision": "allow"})
    body = {"prompt": '/tool bash {"command": "sleep 0.3; echo ran >> ran.txt"}\n/say over'}

    with service.stream("POST", "/v1/sessions/s/events", json=body, headers=_SSE) as events:
        _until(events, "tool.call.started")
    with service.stream("GET", "/v1/sessions/s/events/stream") as events:
        seen = _until(events, *_TURN_ENDS)

    assert seen[-1].event == "turn.completed"
    assert [event.event for event in seen].count("tool.call.started") == 1
    assert json.loads(seen[-1].data)["data"]["text"] == "over"


def test_a_stream_goes_on_right_after_the_last_event_id(service: Running) -> None:
    service.create()
    service.ask("first")
    with service.stream("GET", "/v1/sessions/s/events/stream") as events:
        seen = _until(events, *_TURN_ENDS)
    middle = next(event for event in seen if event.event == "turn.started")
    service.ask("second")

    with service.stream("GET", "/v1/sessions/s/events/stream", headers={"Last-Event-ID": middle.id}) as events:
        rest = _until(events, "turn.completed")
        again = _until(events, "turn.completed")

    seqs = [json.loads(event.data)["seq"] for event in rest + again if not event.event.endswith("delta")]
    assert seqs == list(range(int(middle.id) + 1, seqs[-1] + 1))


def test_the_header_of_a_reconnecting_browser_wins_over_the_address(service: Running) -> None:
    service.create()
    service.ask("hello")

    headers, params = {"Last-Event-ID": "4"}, {"after": "0", "deltas": False}
    with service.stream("GET", "/v1/sessions/s/events/stream", params=params, headers=headers) as events:
        first = next(iter(events))

    assert json.loads(first.data)["seq"] == 5


def test_a_cursor_that_is_none_is_refused_before_anything_streams(service: Running) -> None:
    service.create()

    response = service.http.get("/v1/sessions/s/events/stream", params={"after": "yesterday"})

    assert (response.status_code, response.json()["code"]) == (422, "InvalidRequest")


def test_the_journal_is_read_page_by_page(service: Running) -> None:
    service.create()
    service.ask("hello")
    seqs: list[int] = []
    after: str | None = "0"

    while after is not None:
        page = service.http.get("/v1/sessions/s/events", params={"after": after, "limit": 2}).json()
        seqs += [record["seq"] for record in page["items"]]
        after = page["next"]

    assert seqs == list(range(1, service.http.get("/v1/sessions/s").json()["head_seq"] + 1))


def test_a_turn_tells_its_status_and_result(service: Running) -> None:
    service.create()
    service.ask("hello")

    (turn,) = service.http.get("/v1/sessions/s/turns").json()["items"]

    assert (turn["status"], turn["text"]) == ("completed", "hello")
    assert service.http.get(f"/v1/sessions/s/turns/{turn['turn_id']}").json() == turn
    unknown = service.http.get("/v1/sessions/s/turns/none")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "TurnNotFound")


def test_history_context_and_clear(service: Running) -> None:
    service.create()
    service.ask("hello")

    assert [message["role"] for message in _items(service, "messages")] == ["user", "assistant"]
    assert service.http.get("/v1/sessions/s/context").json()["turns"] == 2
    head = service.http.get("/v1/sessions/s").json()["head_seq"]
    assert service.http.post("/v1/sessions/s/clear").status_code == 200
    assert _items(service, "messages") == []
    assert len(_items(service, f"messages?at={head}")) == 2
    assert service.http.get(f"/v1/sessions/s/context?at={head}").json()["turns"] == 2
    assert service.http.get("/v1/sessions/s/messages?at=100").status_code == 422


def test_a_message_can_be_added_without_a_turn(service: Running) -> None:
    service.create()
    message = {"role": "user", "content": [{"type": "text", "text": "by the way"}]}

    added = service.http.post("/v1/sessions/s/messages", json=message)

    assert (added.status_code, added.json()) == (201, {"seq": 2})
    assert _items(service, "messages") == [message]
    assert _items(service, "turns") == []


def test_a_queued_input_can_be_seen_and_withdrawn(service: Running) -> None:
    service.create()
    service.http.post("/v1/sessions/s/events", json={"prompt": "/sleep 30"})
    second = service.http.post("/v1/sessions/s/events", json={"prompt": "second"}).json()

    (queued,) = _items(service, "inputs")
    withdrawn = service.http.delete(f"/v1/sessions/s/inputs/{second['input_id']}")

    assert queued["input_id"] == second["input_id"]
    assert withdrawn.json() == {"changed": True}
    assert _items(service, "inputs") == []
    again = service.http.delete(f"/v1/sessions/s/inputs/{second['input_id']}")
    assert (again.status_code, again.json()["code"]) == (404, "InputNotFound")


def test_an_interrupt_ends_the_running_turn(service: Running) -> None:
    service.create()
    service.http.post("/v1/sessions/s/events", json={"prompt": "/sleep 30"})

    assert service.http.post("/v1/sessions/s/interrupt").json() == {"changed": True}
    with service.stream("GET", "/v1/sessions/s/events/stream") as events:
        seen = _until(events, *_TURN_ENDS)

    assert seen[-1].event == "turn.cancelled"
    assert service.http.post("/v1/sessions/s/interrupt").json() == {"changed": False}


def test_a_turn_that_needs_approval_answers_the_waiting_client_with_what_it_waits_for(service: Running) -> None:
    service.create()

    response = service.ask('/tool write {"file_path": "note.txt", "content": "hi"}\n/say written')

    assert (response.status_code, response.json()["why"]) == (202, "requires_action")
    (action,) = response.json()["actions"]
    assert (action["tool"], action["args"]["file_path"]) == ("write", "note.txt")
    assert service.http.get("/v1/actions").json()["items"] == [action]
    assert service.http.get("/v1/sessions/s").json()["activity"] == "requires_action"


@pytest.mark.parametrize(
    ("resolution", "outcome"), [("approve", "tool.call.completed"), ("reject", "tool.call.denied")]
)
def test_a_decision_lets_the_turn_go_on(service: Running, resolution: str, outcome: str) -> None:
    service.create()
    (action,) = service.ask('/tool write {"file_path": "note.txt", "content": "hi"}\n/say over').json()["actions"]
    path = f"/v1/sessions/s/actions/{action['action_id']}"

    decided = service.http.post(path, json={"resolution": resolution, "args_digest": action["args_digest"]})
    with service.stream("GET", "/v1/sessions/s/events/stream") as events:
        seen = [event.event for event in _until(events, *_TURN_ENDS)]

    assert decided.status_code == 204
    assert outcome in seen
    assert seen[-1] == "turn.completed"
    late = service.http.post(path, json={"resolution": "reject"})
    assert (late.status_code, late.json()["code"]) == (409, "ActionSettled")


def test_a_decision_about_other_arguments_is_refused(service: Running) -> None:
    service.create()
    (action,) = service.ask("/tool ls {}").json()["actions"]
    path = f"/v1/sessions/s/actions/{action['action_id']}"

    assert service.http.post(path, json={"resolution": "approve", "args_digest": "other"}).status_code in {409, 422}
    assert service.http.post(path, json={"resolution": "dance"}).status_code == 422
    unknown = service.http.post("/v1/sessions/s/actions/none", json={"resolution": "approve"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "ActionNotFound")


def _items(service: Running, what: str) -> list[Any]:
    return service.http.get(f"/v1/sessions/s/{what}").json()["items"]


def test_what_tool_calls_did_is_listed_page_by_page(service: Running) -> None:
    service.create(permission_policy={"allow": ["ls"]})
    service.ask('/tool ls {"path": "."}\n/tool ls {"path": "nowhere"}\n/say Done.')

    first = service.http.get("/v1/sessions/s/effects", params={"limit": 1}).json()
    rest = service.http.get("/v1/sessions/s/effects", params={"after": first["next"]}).json()

    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (1, 1, None)
    (effect,) = first["items"]
    assert (effect["tool"], effect["status"], effect["outcome"], effect["attempt"]) == ("ls", "settled", "ok", 1)
    assert service.http.get("/v1/sessions/none/effects").status_code == 404
