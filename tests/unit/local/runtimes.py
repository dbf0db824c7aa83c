"""Sessions of a runtime in this process, on scripted models: what the tests of whole turns share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, ToolResultBlock
from actors.domain.permissions import PermissionPolicy
from actors.domain.policies import ConfirmationPolicy
from actors.domain.records import Record, RecordBase
from actors.domain.session import SessionConfig
from actors.handle import SessionHandle
from actors.manager import SessionManager
from actors.settings import Settings

LIMIT_S = 20.0
"""Longest wait for anything that has to happen; nothing here takes a tenth of it."""

R = TypeVar("R", bound=RecordBase)


def script(*steps: dict[str, Any], **options: Any) -> LlmConfig:
    """A model that gives these answers, one after the other within each turn."""
    return LlmConfig(provider="scripted", model="script", options={"steps": list(steps), **options})


def says(text: str, **values: Any) -> dict[str, Any]:
    """An answer without tools."""
    return {"text": text, **values}


def calls(*uses: tuple[str, dict[str, Any]], text: str = "") -> dict[str, Any]:
    """An answer that calls tools."""
    return {"text": text, "tools": [{"tool": name, "args": args} for name, args in uses]}


def config(*steps: dict[str, Any], **values: Any) -> SessionConfig:
    """A session that may do anything, with a script for its model."""
    given: dict[str, Any] = {"permission_policy": PermissionPolicy.permissive(), "max_continuations": 0}
    return SessionConfig(model=script(*steps) if steps else None, **(given | values))


def asking(*steps: dict[str, Any], **values: Any) -> SessionConfig:
    """A session that asks before each call; the questions wait for a minute unless told otherwise."""
    given: dict[str, Any] = {"permission_policy": None, "confirmation_policy": ConfirmationPolicy()}
    return config(*steps, **(given | values))


@asynccontextmanager
async def runtime(*tools: Any, workspace: str = "", **values: Any) -> AsyncGenerator[SessionManager]:
    """A runtime with further tools, ended afterwards."""
    llm, store = values.pop("llm", None), values.pop("store", "memory:")
    manager = await SessionManager.local(
        llm, store=store, tools=tools, settings=Settings(workspace=workspace, **values)
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            yield manager
    finally:
        await manager.close()


@asynccontextmanager
async def session(chosen: SessionConfig, *tools: Any, **values: Any) -> AsyncGenerator[SessionHandle]:
    """One session in a runtime of its own."""
    async with runtime(*tools, **values) as manager:
        yield await manager.create_session("s", chosen)


async def record_of(handle: SessionHandle, kind: type[R], *, count: int = 1) -> R:
    """The ``count``-th record of a kind, as soon as there is one."""
    async with aclosing(handle.events(follow=True, deltas=False)) as events:  # pyright: ignore[reportArgumentType] - it is an async generator
        async for event in events:
            if isinstance(event, kind):
                count -= 1
                if not count:
                    return event
    raise AssertionError("a journal has no end")


async def records(handle: SessionHandle, kind: type[R]) -> list[R]:
    """All records of a kind so far."""
    return [one for one in await handle.records(limit=1000) if isinstance(one, kind)]


async def types(handle: SessionHandle) -> list[str]:
    """The types of all records so far."""
    found: Sequence[Record] = await handle.records(limit=1000)
    return [record.type for record in found]


def results(messages: Sequence[Message]) -> list[ToolResultBlock]:
    """The tool results in a conversation, in order."""
    return [block for message in messages for block in message.content if isinstance(block, ToolResultBlock)]


def result_texts(messages: Sequence[Message]) -> list[str]:
    """The texts of the tool results in a conversation."""
    return [block.content if isinstance(block.content, str) else "" for block in results(messages)]
