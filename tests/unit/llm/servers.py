"""Providers on loopback: real HTTP servers that check bodies as the providers do and answer from a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from pydantic import SecretStr

from actors.domain.calls import HostRef, ModelCall
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message
from actors.domain.tools import ToolDefinition
from actors.llm.retry import Pacing
from tests.unit.llm.validators import Malformed, check_anthropic, check_openai

KEY = "sk-canary-5f1c0d"
"""The key of every test; it may appear in no error and no log line."""

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Provider:
    """A running server. ``replies`` are used up one by one; ``bodies`` and ``headers`` are what was asked."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list[Reply])
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    ports: set[int] = field(default_factory=set[int])

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.ports.add((request.transport.get_extra_info("peername") if request.transport else ("", 0))[1])
        try:
            check_anthropic(body) if request.path == "/v1/messages" else check_openai(body)
        except Malformed as error:
            return web.json_response({"error": {"message": f"malformed: {error}"}}, status=400)
        return await self.replies.pop(0)(request)


@asynccontextmanager
async def provider(*replies: Reply) -> AsyncGenerator[Provider]:
    """A server with both wires."""
    server = Provider(replies=list(replies))
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", server.answer)
    app.router.add_post("/v1/messages", server.answer)
    # handler_cancellation: a handler learns that its client has gone.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def status(code: int, body: object = None, **headers: str) -> Reply:
    """An answer of JSON."""

    async def reply(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body if body is not None else {}, status=code, headers=named)

    return reply


def pieces(*chunks: bytes, abort: bool = False, gate: asyncio.Event | None = None) -> Reply:
    """A stream of these chunks; then the connection is cut (``abort``), or ``gate`` is awaited, or it ends."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if gate is not None:
            await gate.wait()
        if abort and request.transport is not None:
            request.transport.close()
        return response

    return reply


def drop() -> Reply:
    """Cut the connection without an answer."""

    async def reply(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    return reply


def hang(entered: asyncio.Event, left: asyncio.Event, *chunks: bytes) -> Reply:
    """Send some chunks, then nothing; ``left`` is set when the client closes the connection."""

    async def reply(request: web.Request) -> web.StreamResponse:
        try:
            if chunks:
                response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
                await response.prepare(request)
                for chunk in chunks:
                    await response.write(chunk)
            entered.set()
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError("unreachable")

    return reply


def sse(*events: object, done: bool = True) -> bytes:
    """Chunks of the chat-completions stream."""
    lines = [f"data: {json.dumps(event)}\n\n" for event in events] + (["data: [DONE]\n\n"] if done else [])
    return "".join(lines).encode()


def named_sse(*events: dict[str, Any]) -> bytes:
    """Events of the messages stream, each named by its type."""
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def split(stream: bytes, size: int) -> Iterable[bytes]:
    """The stream in pieces of so many bytes."""
    return (stream[at : at + size] for at in range(0, len(stream), size))


@dataclass
class Heard:
    """What was emitted, in order."""

    pieces: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, channel: Literal["text", "thinking", "tool_input", "output"], text: str) -> None:
        self.pieces.append((channel, text))
        self.first.set()

    def on(self, channel: str) -> str:
        """Everything on one channel."""
        return "".join(text for name, text in self.pieces if name == channel)


@dataclass
class FakeTime:
    """A clock that only sleeping moves; jitter in the middle, so that delays are exact."""

    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list[float])

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def pacing(self) -> Pacing:
        """The pacing of this time."""
        return Pacing(sleep=self.sleep, clock=lambda: self.seconds, jitter=lambda: 0.5)


READ = ToolDefinition(name="read", description="Reads a file.")
DOTTED = ToolDefinition(name="fs.list", description="Lists a directory.")
KEY_SECRET = SecretStr(KEY)
HELLO = (Message.user("hello"),)


def model_call(name: str = "openai/gpt-4o-mini", *, thinking: int | None = None, **settings: Any) -> ModelCall:
    """A call with two tools; ``settings`` are those of LlmConfig."""
    return ModelCall(
        call_id="01J:1:3",
        tenant="default",
        journal_id="01J",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=HostRef(host_id="h", incarnation="i"),
        llm=LlmConfig.of(name, **settings),
        system="Be brief.",
        tools=(READ, DOTTED),
        thinking_budget=thinking,
    )
