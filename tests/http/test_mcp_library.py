"""Resources and prompts of MCP servers over HTTP: listed, read, made, and sent as inputs."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.http.serving import Running

SERVER = Path(__file__).parents[1] / "unit" / "mcp" / "library_server.py"
LIB = "/v1/mcp-servers/lib"


def test_resources_and_prompts_of_a_server_are_listed_read_and_sent(service: Running) -> None:
    args = ["-I", "-S", str(SERVER), "plain"]
    service.http.post(
        "/v1/mcp-servers", json={"name": "lib", "transport": "stdio", "command": sys.executable, "args": args}
    )
    listed = service.http.get(f"{LIB}/resources").json()
    assert [one["uri"] for one in listed["items"]] == ["note://a", "bin://pixel", "bin://odd", "list://1"]
    assert (listed["next"], listed["left_out"]) == (None, 2)
    read = service.http.get(f"{LIB}/resources/content", params={"uri": "note://a"}).json()
    assert read["items"] == [{"uri": "note://a", "media_type": "text/plain", "text": "alpha", "blob": None}]
    assert service.http.get(f"{LIB}/prompts").json()["items"][0]["arguments"][0]["name"] == "who"
    made = service.http.post(f"{LIB}/prompts/greet", json={"arguments": {"who": "Ada"}}).json()
    assert made["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Greet Ada."}]}]

    slashed = service.http.post(f"{LIB}/prompts/in%2Fa%2Ffolder", json={})
    assert slashed.json()["code"] == "McpRefused" and "empty" in slashed.text

    service.create(permission_policy={"allow": ["mcp__lib"]})
    prompt = {"mcp_prompt": {"server": "lib", "prompt": "greet", "arguments": {"who": "Ada"}}}
    result = service.http.post("/v1/sessions/s/events?wait=turn", json=prompt)
    assert result.status_code == 200, result.text
    assert service.http.get("/v1/sessions/s/messages").json()["items"][0]["content"][0]["text"] == "Greet Ada."

    service.ask('/tool mcp__lib__read_resource {"uri": "bin://zip"}\n/say Read.').raise_for_status()
    (kept,) = service.http.get("/v1/sessions/s/artifacts").json()["items"]
    assert (kept["media_type"], kept["name"]) == ("application/zip", "bin://zip/1")
    file = service.http.get(f"/v1/sessions/s/artifacts/{kept['artifact_id']}")
    assert (file.content, file.headers["Content-Type"]) == (b"PK\0\1" * 100, "application/octet-stream")
    assert file.headers["Content-Disposition"].endswith('.bin"')

    refused = service.http.get(f"{LIB}/resources/content", params={"uri": "note://b"})
    assert (refused.status_code, refused.json()["code"]) == (502, "McpRefused")
    assert service.http.get("/v1/mcp-servers/none/prompts").json()["code"] == "McpServerNotFound"
