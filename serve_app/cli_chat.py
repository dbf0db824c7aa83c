"""``greenroom chat``: a conversation on a terminal, streamed, with approvals asked in between."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from actors.domain.ids import new_ulid
from actors.errors import GreenroomError, InvalidRequest
from serve_app.client import ServiceClient, ServiceError, StreamEvent, session_path
from serve_app.terminal import out, plain, say, say_error

APPROVAL_TIMEOUT_MS = 600_000
"""How long a session made here waits for an approval: ten minutes, for a person who is at the keyboard but reads."""

_QUIT = frozenset({"/quit", "/exit"})
_TURN_ENDS = frozenset({"turn.completed", "turn.failed", "turn.cancelled"})


def pick_session(client: ServiceClient, session_id: str | None, model: str | None) -> dict[str, Any]:
    """The session to talk to; it is created when it is new."""
    if session_id is not None:
        try:
            return client.call("GET", session_path(session_id))
        except ServiceError as error:
            if error.kind != "SessionNotFound":
                raise
    config: dict[str, Any] = {"confirmation_policy": {"default_timeout_ms": APPROVAL_TIMEOUT_MS}}
    if model is not None:
        config["model"] = model
    body = {"session_id": session_id or f"chat-{new_ulid().lower()[-10:]}", "config": config}
    return client.call("POST", "/v1/sessions", body=body)


def _default_model(client: ServiceClient) -> str:
    models = client.call("GET", "/v1/models")["items"]
    return next((str(model["name"]) for model in models if model["default"]), "no model")


class Chat:
    """A conversation with one session.

    Args:
        ask: Reads a line from the person; raises EOFError at the end.
    """

    def __init__(self, client: ServiceClient, info: dict[str, Any], ask: Callable[[str], str] = input) -> None:
        self._client = client
        self._id = str(info["session_id"])
        self._model = str(info["model"] or _default_model(client))
        self._ask = ask

    def run(self) -> None:
        """Talk until the person leaves."""
        say(f"Session {self._id} on {self._model}. Ctrl-C interrupts an answer, /quit leaves.", "dim")
        while True:
            try:
                prompt = self._ask("\n> " if sys.stdin.isatty() else "").strip()
            except (EOFError, KeyboardInterrupt):
                break
            if prompt in _QUIT:
                break
            if prompt:
                self._turn(prompt)
        say(f"The session stays: 'greenroom chat {self._id}' goes on with it.", "dim")

    def _turn(self, prompt: str) -> None:
        try:
            with self._client.stream("POST", session_path(self._id, "/events"), body={"prompt": prompt}) as events:
                self._show(events)
        except KeyboardInterrupt:
            self._client.call("POST", session_path(self._id, "/interrupt"))
            say("\nInterrupted.", "dim")
        except GreenroomError as error:
            say_error(error.message)

    def _show(self, events: Iterable[StreamEvent]) -> None:
        console = out()
        with console.status(self._waiting_text(), spinner="dots") as status:
            view = _TurnView(console, status, self._decide)
            for event in events:
                view.show(event)

    def _waiting_text(self) -> str:
        if self._model.startswith("local/"):
            return "Thinking (the local model loads on first use)"
        return "Thinking"

    def _decide(self, data: dict[str, Any]) -> None:
        body = self._answered(data) if data["kind"] == "input" else self._decided(data)
        try:
            self._client.call("POST", session_path(self._id, f"/actions/{data['action_id']}"), body=body)
        except ServiceError as error:
            say_error(error.message)
            if data["kind"] == "input" and error.kind == InvalidRequest.__name__:
                self._decide(data)

    def _answered(self, data: dict[str, Any]) -> dict[str, Any]:
        """What somebody says to a tool: the fields of its form, or that its page will be visited; nothing declines."""
        question = data["args"]
        say(f"{data['tool']} asks: {question['message']} (end of input declines)")
        content: dict[str, Any] = {}
        try:
            if question["mode"] == "url":
                return self._agreed(f"Visit {question['url']} [y/n] ")
            if question["mode"] == "sampling":
                wanted = question["sampling"]
                for message in wanted["messages"]:
                    say(f"  [{message['role']}] {' '.join(block['text'] for block in message['content'])}")
                return self._agreed(f"May the model answer that, in {wanted['max_tokens']} tokens at most? [y/n] ")
            for name, field in question["form"].get("properties", {}).items():
                said = self._ask(f"{field.get('title', name)} ({field['type']}): ").strip()
                if said:
                    content[name] = said if field["type"] == "string" else _value(said)
        except EOFError:
            return {"resolution": "decline"}
        return {"resolution": "accept", "content": content}

    def _agreed(self, question: str) -> dict[str, Any]:
        yes = self._ask(question).strip().lower().startswith("y")
        return {"resolution": "accept" if yes else "decline"}

    def _decided(self, data: dict[str, Any]) -> dict[str, Any]:
        choices = dict(zip("yn", _CHOICES[data["kind"]], strict=True))
        question = f"Run {data['tool']} {json.dumps(data['args'], ensure_ascii=False)}? [y/n] "
        if data["kind"] != "approval":
            about = f"{data['tool']}: " if data["tool"] else ""
            question = f"{about}{(data['detail'] or data['kind']).rstrip('.')}. Go on? [y/n] "
        answer = ""
        while answer not in choices:
            try:
                answer = self._ask(question).strip().lower()[:1]
            except EOFError:
                answer = "n"
        return {"resolution": choices[answer], "args_digest": data["args_digest"]}


def _value(said: str) -> Any:
    """Numbers, yes or no, and lists are written as in JSON; what is no JSON is a text, and refused where it matters."""
    try:
        return json.loads(said)
    except ValueError:
        return said


_CHOICES = {
    "approval": ("approve", "reject"),
    "in_doubt": ("retry", "skip"),
    "workspace_lost": ("approve", "reject"),
    "budget": ("approve", "reject"),
    "credential": ("retry", "reject"),
    "injection": ("mark", "reject"),
}
"""What yes and no mean, by the kind of the question."""


class _TurnView:
    """Prints one turn as its events come. The spinner turns while nothing is being written."""

    def __init__(self, console: Console, status: Status, decide: Callable[[dict[str, Any]], None]) -> None:
        self._console = console
        self._status = status
        self._decide = decide
        self._open_line = False
        self._written: set[str] = set()

    def show(self, event: StreamEvent) -> None:
        """Print one event."""
        data = event.data.get("data", {})
        match event.type:
            case "message.delta" if event.data["channel"] == "text":
                self._write(event.data["text"])
                self._written.add(event.data["call_id"])
            case "model.call.completed" if not data.get("summary_of"):
                self._answered(data)
            case "session.compacted":
                self._line(f"- compacted: {data['before_messages']} messages became {data['after_messages']}", "dim")
            case "model.call.failed":
                self._line(f"The model failed: {data['message']}", "yellow")
            case "tool.call.started":
                self._line(f"- {data['name']}", "dim")
            case "tool.call.denied":
                self._line(f"- {data['name']}: {data['reason']}", "dim")
            case "session.persistence_failed":
                self._line(event.data["error"], "yellow")
            case "action.requested":
                self._end_line()
                self._status.stop()
                self._decide(data)
                self._status.start()
            case kind if kind in _TURN_ENDS:
                self._ended(kind, data)
            case _:
                pass

    def _answered(self, data: dict[str, Any]) -> None:
        if data["call_id"] not in self._written:
            self._write("".join(block["text"] for block in data["message"]["content"] if block["type"] == "text"))
        self._end_line()
        self._status.start()

    def _ended(self, kind: str, data: dict[str, Any]) -> None:
        self._end_line()
        self._status.stop()
        if kind == "turn.failed":
            say_error(data["message"])
        elif kind == "turn.cancelled":
            say("Interrupted.", "dim")

    def _write(self, text: str) -> None:
        if text:
            self._status.stop()
            self._console.print(Text(plain(text)), end="", soft_wrap=True)
            self._open_line = True

    def _end_line(self) -> None:
        if self._open_line:
            self._console.print()
            self._open_line = False

    def _line(self, text: str, style: str) -> None:
        self._end_line()
        self._console.print(Text(plain(text), style=style), soft_wrap=True)
