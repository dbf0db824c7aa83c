"""A server without the SDK: it starts in 30 ms, speaks the older protocol, and misbehaves on demand.

    python -I -S raw_server.py [FILE]

Tools: add, environment, pictures, structured, progress, linger (told of its cancel, it writes FILE), grow, junk, huge,
crash, deaf (never answers), refuse, secret (says the value of TOKEN), again (crashes once). With --many it lists
10,000 tools, with --silent it says nothing, with --stubborn it does not end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

TOOLS = {"add": {"readOnlyHint": True}, "again": {"idempotentHint": True}}
NAMES = "add environment pictures structured progress linger grow junk huge crash deaf refuse secret again".split()
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def tools() -> list[dict[str, Any]]:
    names = [f"tool_{number}" for number in range(10_000)] if "--many" in sys.argv else NAMES
    return [{"name": name, "inputSchema": {"type": "object"}, "annotations": TOOLS.get(name)} for name in names]


def text(*texts: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": one} for one in texts], **more}


def call(number: Any, name: str, args: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any] | None:
    if name == "add":
        return text(str(args["a"] + args["b"]))
    if name == "environment":
        return text("\n".join(sorted(os.environ)))
    if name == "pictures":
        images = [{"type": "image", "mimeType": kind, "data": PIXEL} for kind in ("image/png", "image/tiff")]
        resource = {"type": "resource", "resource": {"uri": "file:///a", "mimeType": "text/plain", "text": "inner"}}
        return {"content": [*images, resource]}
    if name == "structured":
        return {"content": [], "structuredContent": {"sum": 3}}
    if name == "progress":
        for step in (1, 2):
            params = {"progressToken": meta["progressToken"], "progress": step, "total": 2, "message": f"step {step}"}
            send({"method": "notifications/progress", "params": params})
        return text("done")
    if name == "grow":
        NAMES.append("grown")
        send({"method": "notifications/tools/list_changed"})
        return text("grown")
    if name == "junk":
        print("this is no message")
        return text("made noise")
    if name == "huge":
        return text("x" * int(args["n"]))
    if name in ("crash", "again"):
        if name == "again" and os.path.exists(sys.argv[1]):
            return text("the second time")
        open(sys.argv[1], "w").close()
        os._exit(3)
    if name == "refuse":
        return text("no", isError=True)
    if name == "secret":
        return text(f"the token is {os.environ['TOKEN']}", isError=True)
    return None


def answer(message: dict[str, Any]) -> None:
    number, method, params = message.get("id"), message["method"], message.get("params") or {}
    if method == "initialize":
        info = {"name": "raw", "version": "1"}
        version = params["protocolVersion"]
        send({"id": number, "result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}})
    elif method == "tools/list":
        send({"id": number, "result": {"tools": tools()}})
    elif method == "tools/call":
        result = call(number, params["name"], params.get("arguments") or {}, params.get("_meta") or {})
        if result is not None:
            send({"id": number, "result": result})
    elif method == "notifications/cancelled":
        with open(sys.argv[1], "w") as file:
            file.write("cancelled")
    elif number is not None:
        send({"id": number, "error": {"code": -32601, "message": f"no {method} here"}})


if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "--silent" not in sys.argv:
    for line in sys.stdin:
        answer(json.loads(line))
while "--stubborn" in sys.argv or "--silent" in sys.argv:
    signal.pause()
