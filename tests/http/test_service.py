"""The service as a whole: description, health, tools, models, policies, console, keys, what nobody asked for."""

from __future__ import annotations

import asyncio
import contextvars
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.settings import Settings
from serve_app.app import create_app
from serve_app.dependencies import act
from serve_app.routes.console import DIRECTORY
from tests.http.serving import Running, running


def test_probes_answer(shared: Running) -> None:
    assert shared.http.get("/healthz").json()["status"] == "ok"
    ready = shared.http.get("/readyz").json()
    assert (ready["status"], [store["ok"] for store in ready["stores"]]) == ("ready", [True])


def test_tools_and_models_are_listed(shared: Running) -> None:
    tools = {tool["name"] for tool in shared.http.get("/v1/tools").json()["items"]}
    models = shared.http.get("/v1/models").json()["items"]

    assert {"read", "write", "edit", "ls", "glob", "grep", "bash"} <= tools
    assert (models[0]["name"], models[0]["default"]) == ("scripted/prompt", True)


def test_the_default_model_is_changed_and_taken_away(service: Running) -> None:
    service.http.post("/v1/sessions", json={"session_id": "s"})
    path = "/v1/models/default"

    changed = service.http.put(path, json={"model": "scripted/echo"})
    assert (changed.status_code, changed.json()["items"][0]["name"]) == (200, "scripted/echo")
    assert service.ask("/say no").json()["text"] == "/say no"
    full = {"provider": "scripted", "model": "prompt", "price": {"input": "3", "output": "15"}}
    assert service.http.put(path, json={"model": full}).status_code == 200
    assert float(service.ask("/say yes").json()["cost_usd"]) > 0
    assert service.http.put(path, json={"model": None}).status_code == 200
    assert service.ask("hello").json()["code"] == "NoModel"
    for wrong in ({}, {"model": "nosuch/x"}, {"model": "x"}, {"model": {"provider": "scripted"}}):
        assert service.http.put(path, json=wrong).status_code == 422, wrong


def test_a_session_is_restored_where_it_is_known(service: Running) -> None:
    service.create(name="Ada")
    assert service.http.post("/v1/sessions/s/restore").json()["name"] == "Ada"
    assert service.http.post("/v1/sessions/nobody/restore").status_code == 404


def test_policies_are_read_replaced_and_asked(service: Running) -> None:
    service.create()
    check = {"tool": "bash", "args": {"command": "ls"}}
    path = "/v1/sessions/s"

    assert service.http.post(f"{path}/permissions/check", json=check).json() == {"decision": "ask"}
    replaced = service.http.put(f"{path}/policy", json={"permission": {"deny": ["bash"]}}).json()

    assert replaced["permission"]["deny"] == ["bash"]
    assert replaced["confirmation"]["default_timeout_ms"] == 30_000
    assert service.http.post(f"{path}/permissions/check", json=check).json() == {"decision": "deny"}
    set_time = service.http.put(f"{path}/policy", json={"confirmation": {"default_timeout_ms": 5}}).json()
    assert (set_time["permission"]["deny"], set_time["confirmation"]["default_timeout_ms"]) == (["bash"], 5)
    assert service.http.get(f"{path}/policy").json() == set_time
    gone = service.http.put(f"{path}/policy", json={"permission": None}).json()
    assert (gone["permission"]["deny"], gone["confirmation"]["default_timeout_ms"]) == ([], 5)
    assert service.http.post(f"{path}/permissions/check", json=check).json() == {"decision": "ask"}


def test_rules_are_added_and_policies_tried_over_http(service: Running) -> None:
    service.create()
    path = "/v1/sessions/s/permissions"

    added = service.http.post(f"{path}/rules", json={"kind": "deny", "rule": "bash(rm:*)"}).json()
    unknown = service.http.post(f"{path}/rules", json={"kind": "maybe", "rule": "bash"})
    tried = service.http.post(f"{path}/dry-run", json={"policy": {"mode": "plan"}}).json()
    mode = service.http.put("/v1/sessions/s/policy", json={"permission": {"mode": "dont_ask"}}).json()

    assert added["deny"] == ["bash(rm:*)"]
    assert unknown.status_code == 422
    assert tried == {"calls": [], "next_after": None}
    assert mode["permission"]["mode"] == "dont_ask"
    check = {"tool": "bash", "args": {"command": "ls"}}
    assert service.http.post(f"{path}/check", json=check).json() == {"decision": "deny"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "RouteNotFound"),
        ("GET", "/console/nothing.js", 404, "RouteNotFound"),
        ("GET", "/console/../app.py", 404, "RouteNotFound"),
        ("GET", "/docs", 404, "RouteNotFound"),
        ("PUT", "/v1/sessions", 405, "MethodNotAllowed"),
        ("DELETE", "/v1/tools", 405, "MethodNotAllowed"),
    ],
)
def test_what_is_not_there_is_a_problem_too(shared: Running, method: str, path: str, status: int, code: str) -> None:
    response = shared.http.request(method, path)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert (status == 405) == ("allow" in response.headers)


def test_a_refused_method_names_every_method_of_the_path(shared: Running) -> None:
    assert shared.http.put("/v1/sessions").headers["allow"] == "GET, POST"
    assert shared.http.post("/v1/sessions/a.b-c").headers["allow"] == "DELETE, GET, PATCH"


def test_json_that_cannot_be_read_is_refused(shared: Running) -> None:
    response = shared.http.post("/v1/sessions", content=b"{", headers={"Content-Type": "application/json"})

    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("key", ["", "x" * 129])
def test_an_idempotency_key_of_another_form_is_refused(shared: Running, key: str) -> None:
    response = shared.http.post("/v1/sessions", json={}, headers={"Idempotency-Key": key})

    assert (response.status_code, response.json()["code"]) == (422, "InvalidRequest")


def test_a_service_with_keys_wants_one_and_describes_that() -> None:
    with running(api_keys=["k1", "k2"]) as service:
        refused = service.http.get("/v1/sessions")
        granted = service.http.get("/v1/sessions", headers={"Authorization": "Bearer k2"})
        described = service.http.get("/openapi.json").json()

    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert granted.status_code == 200
    assert described["security"] == [{"apiKey": []}]


def _operations(document: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_each_operation_is_described_with_an_id_of_its_own_and_its_problems(shared: Running) -> None:
    operations = _operations(shared.http.get("/openapi.json").json())

    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    assert operations["POST /v1/sessions/{session_id}/events"]["operationId"] == "send_input"
    for operation in operations.values():
        assert set(operation["responses"]["4XX"]["content"]) == {"application/problem+json"}
        assert "422" not in operation["responses"]


def test_every_reference_of_the_description_leads_somewhere(shared: Running) -> None:
    response = shared.http.get("/openapi.json")

    names = set(re.findall(r'"#/components/schemas/([^"]+)"', response.text))
    assert names <= set(response.json()["components"]["schemas"])


def test_the_console_loads_nothing_from_elsewhere(shared: Running) -> None:
    page = shared.http.get("/")
    links = re.findall(r'(?:src|href)="([^"#][^"]*)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert links and all(link.startswith("/console/") for link in links)
    for link in links:
        assert shared.http.get(link).status_code == 200
    for path in DIRECTORY.iterdir():
        foreign = re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\s\"']+", path.read_text(encoding="utf-8"))
        assert foreign == [], path.name


def test_the_console_runs_no_foreign_and_no_inline_script(shared: Running) -> None:
    for path in ("/", "/console/app.js", "/console/style.css"):
        policy = shared.http.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", shared.http.get("/").text) is None


def test_the_console_writes_text_only_as_text() -> None:
    for path in DIRECTORY.glob("*.js"):
        code = path.read_text(encoding="utf-8")
        assert re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", code) is None


async def test_a_manager_that_is_not_to_be_had_is_a_problem() -> None:
    async def nobody() -> Any:
        raise ConnectionError("password=hunter2")

    transport = httpx.ASGITransport(create_app(nobody))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        alive, ready = await client.get("/healthz"), await client.get("/readyz")

    assert (alive.status_code, ready.status_code) == (200, 500)
    assert "hunter2" not in ready.text


async def test_a_command_goes_on_when_the_one_who_waits_for_it_is_cancelled() -> None:
    go, done = asyncio.Event(), asyncio.Event()
    marker = contextvars.ContextVar[str]("marker")
    marker.set("of the request")
    seen: list[str] = []

    async def command() -> None:
        await go.wait()
        seen.append(marker.get("none"))
        done.set()

    waiter = asyncio.create_task(act(command()))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    go.set()
    await asyncio.wait_for(done.wait(), 5)

    assert seen == ["none"]


def test_settings_of_a_replica_hold_no_key() -> None:
    from serve_app.deployment import public

    settings = Settings(api_keys="k1,k2", openai_api_key="sk-1", anthropic_api_key="sk-2")  # pyright: ignore[reportArgumentType]

    assert public(settings).api_keys == ()
    assert (public(settings).openai_api_key, public(settings).anthropic_api_key) == (None, None)


def test_a_session_is_made_in_the_store_that_its_client_chooses(tmp_path: Path) -> None:
    with running(stores={"kept": str(tmp_path)}) as service:
        service.create("plain")
        service.create("filed", storage_type="file")
        named = service.http.post("/v1/sessions/bulk", json={"session_ids": ["a", "b"], "store": "kept"})
        nowhere = service.http.post("/v1/sessions", json={"session_id": "s", "store": "nowhere"})

        assert (named.status_code, nowhere.status_code) == (201, 422)
        assert service.ask("/say hello", "filed").json()["text"] == "hello"
        listed = service.http.get("/v1/sessions").json()
        assert ({row["session_id"] for row in listed["items"]}, listed["unavailable"]) == (
            {"plain", "filed", "a", "b"},
            [],
        )
        assert [(one["name"], one["kind"], one["ok"]) for one in service.http.get("/readyz").json()["stores"]] == [
            ("default", "memory", True),
            ("kept", "file", True),
        ]
    with running(store=str(tmp_path)) as again:
        assert again.http.get("/v1/sessions/filed").status_code == 200
