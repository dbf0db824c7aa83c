"""Providers that refuse, are not there, or are given a key, which must be found nowhere."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from actors import LlmConfig, SessionConfig, SessionHandle, SessionManager, errors
from actors.domain.turns import TurnStatus
from tests.integration.runtimes import MODEL, MakeRuntime, NewId
from tests.integration.waiting import LONG_S

CANARY = f"sk-canary-{secrets.token_hex(12)}"


@asynccontextmanager
async def server(*, status: int = 200) -> AsyncGenerator[tuple[str, list[str]]]:
    """An OpenAI-compatible server: its address, and the Authorization headers that it was sent."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization", ""))
        if status != 200:
            key = seen[-1].removeprefix("Bearer ")
            return web.json_response({"error": {"message": f"Incorrect API key provided: {key}"}}, status=status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for delta, reason in (({"role": "assistant", "content": "well "}, None), ({"content": "met"}, "stop")):
            chunk = {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}", seen
    finally:
        await runner.cleanup()


def key_config(url: str) -> SessionConfig:
    return SessionConfig(
        model=LlmConfig(provider="openai", model="any", base_url=url, api_key=SecretStr(CANARY), timeout_s=10)
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_wrong_key_is_told_as_such_and_not_tried_again(manager: SessionManager, new_id: NewId) -> None:
    async with server(status=401) as (url, seen):
        session = await manager.create_session(new_id(), key_config(url))
        with pytest.raises(errors.ModelAuthFailed, match="API key") as refused:
            await session.generate("hello", timeout=LONG_S)
    assert seen == [f"Bearer {CANARY}"]
    assert CANARY not in str(refused.value)
    (turn,) = await session.turns()
    assert (turn.status, turn.error_code) == (TurnStatus.failed, "ModelAuthFailed")
    await session.configure(model_config=MODEL)
    assert (await session.generate("hello", timeout=LONG_S)).text == "hello"


async def test_a_model_that_cannot_be_reached_is_unavailable(manager: SessionManager, new_id: NewId) -> None:
    model = LlmConfig(provider="openai", model="any", base_url=f"http://127.0.0.1:{free_port()}", timeout_s=1)
    session = await manager.create_session(new_id(), SessionConfig(model=model, circuit_breaker_threshold=1))
    with pytest.raises(errors.ModelUnavailable, match="base_url"):
        await session.generate("hello", timeout=LONG_S)
    assert (await session.history())[0].text == "hello"


async def test_a_key_that_is_given_is_used_and_found_nowhere(
    fresh_runtime: MakeRuntime, new_id: NewId, tmp_path: Path
) -> None:
    async with server() as (url, seen), server(status=401) as (refusing, _):
        config = key_config(url)
        manager = await fresh_runtime(llm=config.model, directory=tmp_path)
        session = await manager.create_session(new_id(), config, command_id="create")
        assert (await session.generate("hello", timeout=LONG_S)).text == "well met"
        again = await manager.create_session(session.session_id, config, command_id="create")
        assert again.journal_id == session.journal_id
        child = await manager.create_child_session(session.session_id, new_id())
        assert (await child.generate("hello", timeout=LONG_S)).text == "well met"
        await session.hibernate()
        assert (await session.generate("hello again", timeout=LONG_S)).text == "well met"
        default = await manager.create_session(new_id())
        assert (await default.generate("hello", timeout=LONG_S)).text == "well met"
        assert seen == [f"Bearer {CANARY}"] * 4

        await session.configure(model_config=key_config(refusing).model)
        with pytest.raises(errors.ModelAuthFailed) as refused:
            await session.generate("hello", timeout=LONG_S)
        await manager.set_default_llm(config.model)
        told = [
            repr(refused.value),
            repr(refused.value.args),
            repr(config),
            config.model_dump_json(),
            repr(manager.settings),
            repr(await manager.get_llm_for_session(default.session_id)),
            repr(await manager.runtime_status()),
            repr(await manager.models()),
            *[await everything_of(one) for one in (session, child, default)],
        ]
    await manager.close()
    assert not [text for text in told if CANARY in text]
    files = contents(tmp_path)
    assert "greenroom.db" in files
    assert not [name for name, content in files.items() if CANARY.encode() in content]


async def everything_of(session: SessionHandle) -> str:
    return repr(
        (
            session,
            await session.config(),
            await session.info(),
            await session.turns(),
            await session.history(),
            [event async for event in session.events()],
        )
    )


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}
