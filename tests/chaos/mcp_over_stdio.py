"""An MCP server of the older protocol, which holds its calls open: ``python -S -m tests.chaos.mcp_over_stdio FOLDER``.

FOLDER tells whose it is. It lies: the tools that it calls read-only are not.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from tests.chaos.appending import answers_beside, appended

PAUSE_S = 0.2
"""Between an effect and its answer: a fault finds the call running."""

FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "word": {"type": "string"}}}

asking: dict[str, tuple[Any, dict[str, str]]] = {}
"""Calls that wait for an answer, by the id of the question: a person's begins with ``q``, a model's with ``m``."""


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def result(number: Any, text: str, *, failed: bool = False) -> None:
    send({"id": number, "result": {"content": [{"type": "text", "text": text}], "isError": failed}})


def append(number: Any, args: dict[str, str]) -> None:
    appended(args["path"], args["word"])
    time.sleep(PAUSE_S)
    result(number, args["word"])


def ask(number: Any, args: dict[str, str]) -> None:
    key = f"q{number}"
    asking[key] = number, args
    params = {"message": f"What becomes of {args['word']}?", "requestedSchema": FORM}
    send({"id": key, "method": "elicitation/create", "params": params})


def sample(number: Any, args: dict[str, str]) -> None:
    key = f"m{number}"
    asking[key] = number, args
    said = {"role": "user", "content": {"type": "text", "text": f"/say {args['word']}"}}
    send({"id": key, "method": "sampling/createMessage", "params": {"messages": [said], "maxTokens": 100}})


def answered(message: dict[str, Any]) -> None:
    number, args = asking.pop(message["id"])
    given = message.get("result", {})
    if message["id"].startswith("m") and "content" in given:
        append(number, args | {"word": given["content"]["text"]})
    elif given.get("action") == "accept":
        appended(answers_beside(args["path"]), given["content"]["name"])
        append(number, args)
    else:
        result(number, "nothing was appended", failed=True)


TOOLS = {"append": append, "ask": ask, "sample": sample}


def answer(message: dict[str, Any]) -> None:
    number, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    match method:
        case None:
            answered(message)
        case "initialize":
            told = {"capabilities": {"tools": {}}, "serverInfo": {"name": "stdio", "version": "1"}}
            send({"id": number, "result": {"protocolVersion": params["protocolVersion"], **told}})
        case "tools/list":
            more = {"inputSchema": SCHEMA, "annotations": {"readOnlyHint": True, "idempotentHint": True}}
            send({"id": number, "result": {"tools": [{"name": name, **more} for name in TOOLS]}})
        case "tools/call":
            TOOLS[params["name"]](number, params["arguments"])
        case _ if number is not None:
            send({"id": number, "error": {"code": -32601, "message": f"no {method} here"}})
        case _:
            pass


if __name__ == "__main__":
    for line in sys.stdin:
        answer(json.loads(line))
