"""Secrets that a service meets everywhere, and a search through all that it wrote or sent for what is left of them.

Each is made of two parts, so that a prompt can have a tool put it together: by itself neither part is a secret.
"""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

PARTS = {
    "API_KEY": ("sk-proj12345", "67890CANARYabcdefgh"),
    "GITHUB_TOKEN": ("ghp_16C7e42F292c", "6912E7710c838347Ae178B4a"),
    "AWS_KEY": ("AKIAIOSF", "CANARYZZZZZZ"),
    "EMAIL": ("canary", "@example.org"),
    "CREDIT_CARD": ("4111 1111 ", "1111 1111"),
    "PASSWORD": ("postgres://ada:pa55", "canary@db:5432/x"),
}
TEXT = "\n".join(first + second for first, second in PARTS.values())
ENVIRONMENT = "Zx9CanaryOfTheEnvironment"
PROVIDER_KEY = "k-CanaryOfAProvider-0123456789"
NEEDLES = (
    *(first + second for label, (first, second) in PARTS.items() if label != "PASSWORD"),
    *("pa55canary", ENVIRONMENT, PROVIDER_KEY),
)


def printed(times: int = 1) -> str:
    """A shell line that prints all of them, in whose words none stands; more than once between much else."""
    words = shlex.join([part for parts in PARTS.values() for part in parts])
    filler = "x" * 1000
    return f"for n in $(seq {times}); do echo {filler} $n; printf '%s%s\\n' {words}; done"


def tool(name: str, **args: object) -> str:
    """A line of a prompt that calls a tool."""
    return f"/tool {name} {json.dumps(args)}"


def everywhere() -> str:
    """A prompt whose tools find them in files, put them together, and look for those of the service."""
    return "\n".join(
        (
            tool("bash", command=printed()),
            tool("bash", command=printed(200)),
            tool("bash", command="cat /proc/*/environ | tr '\\0' '\\n' | grep -a CANARY; env; set"),
            tool("read", file_path="notes"),
            tool("grep", pattern=".", path="."),
            tool("edit", file_path="notes", old_string=PARTS["API_KEY"][0], new_string=PARTS["API_KEY"][0] + "x"),
            tool("write", file_path="made", content="".join(PARTS["EMAIL"])),
            *(tool("mcp__raw__add", a=first, b=second) for first, second in PARTS.values()),
            "done",
        )
    )


class Sent:
    """Every body that a client was sent."""

    def __init__(self, http: httpx.Client) -> None:
        self.bodies: list[bytes] = []
        self._http = http

    def __enter__(self) -> Sent:
        self._http.event_hooks = {"response": [self._keep]}
        return self

    def __exit__(self, *_: object) -> None:
        self._http.event_hooks = {"response": []}

    def _keep(self, response: httpx.Response) -> None:
        self.bodies.append(str(response.headers).encode() + response.read())


def left(bodies: list[bytes], *places: Path) -> list[str]:
    """Where one of them still stands, in bodies and in files, with what is around it."""
    files = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*")))]
    contents = [(str(path), path.read_bytes()) for path in files if path.is_file() and not path.is_symlink()]
    contents += [("an answer", body) for body in bodies]
    return [
        f"{where}: {_around(content, needle)!r}"
        for needle in NEEDLES
        for where, content in contents
        if needle.encode() in content
    ]


def _around(content: bytes, needle: str) -> bytes:
    place = content.index(needle.encode())
    return content[max(place - 80, 0) : place + 80]


class _Provider(BaseHTTPRequestHandler):
    """Streams an answer with all of them, character by character; model ``denies`` repeats the key it was given."""

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["model"] == "denies":
            message = f"Incorrect API key provided: {self.headers['Authorization']}"
            self._send(401, "application/json", json.dumps({"error": {"message": message}}).encode())
            return
        pieces: list[dict[str, Any]] = [{"content": char} for char in f"Here: {TEXT} {PROVIDER_KEY}."]
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces
        ]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        self._send(200, "text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def provider() -> Generator[str]:
    """The address of a provider in this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
