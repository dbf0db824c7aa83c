"""A server without the SDK: it starts in 30 ms, speaks the older protocol, and misbehaves on demand.

    python -I -S raw_server.py [FILE] [--many] [--silent] [--stubborn]

It writes FILE when it is told of a cancelled call. ``again`` crashes unless FILE is there. With --many it lists 10,000
tools, with --silent it says nothing, with --stubborn it does not end. ``ask`` asks as often as it is told to, in the
middle of its call, and gives what it was answered; with a file named there it adds a line before each question.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

Args = dict[str, Any]

HINTS = {"add": {"readOnlyHint": True}, "again": {"idempotentHint": True}, "deaf": {"readOnlyHint": True}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def tools() -> list[dict[str, Any]]:
    names = [f"tool_{number}" for number in range(10_000)] if "--many" in sys.argv else list(CALLS)
    return [{"name": name, "inputSchema": {"type": "object"}, "annotations": HINTS.get(name)} for name in names]


def text(*texts: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": one} for one in texts], **more}


def pictures(args: Args, meta: Args) -> Args:
    images = [{"type": "image", "mimeType": kind, "data": PIXEL} for kind in ("image/png", "image/tiff")]
    resource = {"type": "resource", "resource": {"uri": "file:///a", "mimeType": "text/plain", "text": "inner"}}
    return {"content": [*images, resource]}


def progress(args: Args, meta: Args) -> Args:
    for step in (1, 2):
        params = {"progressToken": meta["progressToken"], "progress": step, "total": 2, "message": f"step {step}"}
        send({"method": "notifications/progress", "params": params})
    return text("done")


def grow(args: Args, meta: Args) -> Args:
    CALLS["grown"] = lambda args, meta: text("I am new")
    send({"method": "notifications/tools/list_changed"})
    return text("grown")


def junk(args: Args, meta: Args) -> Args:
    sys.stdout.write("this is no message\n")
    return text("made noise")


def crash(args: Args, meta: Args) -> None:
    os._exit(3)


def again(args: Args, meta: Args) -> Args:
    if os.path.exists(sys.argv[1]):
        return text("the second time")
    open(sys.argv[1], "w").close()
    os._exit(3)


ASKED: dict[str, tuple[int, Args, list[Any]]] = {}
FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def ask(args: Args, meta: Args) -> None:
    ASKED[f"q{call_number}"] = call_number, args, []
    question(f"q{call_number}")


def question(key: str) -> None:
    _, args, answers = ASKED[key]
    if "file" in args:
        with open(args["file"], "a") as file:
            file.write("asked\n")
    params = args.get("params") or {"message": f"question {len(answers) + 1}", "requestedSchema": FORM}
    send({"id": key, "method": args.get("method", "elicitation/create"), "params": params})


def answered(message: dict[str, Any]) -> None:
    number, args, answers = ASKED[message["id"]]
    answers.append(message.get("result") or message["error"]["message"])
    if len(answers) < args.get("times", 1):
        question(message["id"])
    else:
        send({"id": number, "result": text(json.dumps(answers))})


def visit(args: Args, meta: Args) -> Args | None:
    if os.path.exists(sys.argv[1]):
        return text("visited")
    open(sys.argv[1], "w").close()
    pages = [{"mode": "url", "message": "Log in.", "url": "https://in.example/", "elicitationId": "e"}]
    send({"id": call_number, "error": {"code": -32042, "message": "visit", "data": {"elicitations": pages}}})
    return None


call_number = 0
CALLS: dict[str, Callable[[Args, Args], Args | None]] = {
    "add": lambda args, meta: text(str(args["a"] + args["b"])),
    "environment": lambda args, meta: text("\n".join(sorted(os.environ))),
    "pid": lambda args, meta: text(str(os.getpid())),
    "pictures": pictures,
    "structured": lambda args, meta: {"content": [], "structuredContent": {"sum": 3}},
    "progress": progress,
    "grow": grow,
    "junk": junk,
    "huge": lambda args, meta: text("x" * int(args["n"])),
    "crash": crash,
    "again": again,
    "refuse": lambda args, meta: text("no", isError=True),
    "ask": ask,
    "visit": visit,
    "deaf": lambda args, meta: None,
}


def answer(message: dict[str, Any]) -> None:
    global call_number
    if "method" not in message:
        answered(message)
        return
    number, method, params = message.get("id"), message["method"], message.get("params") or {}
    if method == "initialize":
        info = {"name": "raw", "version": "1"}
        version = params["protocolVersion"]
        send({"id": number, "result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}})
    elif method == "tools/list":
        send({"id": number, "result": {"tools": tools()}})
    elif method == "tools/call":
        call_number = number or 0
        result = CALLS[params["name"]](params.get("arguments") or {}, params.get("_meta") or {})
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
