"""Model calls over a connection carry what is new of their context; a host that lost the rest gets it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.domain.calls import Emit, HostRef, ModelCall, ModelOutcome, Outcome, ToolCall, ToolOutcome
from actors.domain.contexts import Contexts
from actors.domain.llm import LlmConfig
from actors.effect_host import EffectHost
from actors.effect_host.remote import RemoteHost, host_handlers
from tests.unit.unclear import Unclear

MESSAGES = tuple(f'{{"text":"{number}"}}'.encode() for number in range(6))


class Seen(Unclear):
    """An executor that remembers the contexts it was given."""

    def __init__(self) -> None:
        self.contexts: list[tuple[bytes, ...]] = []

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> ModelOutcome | ToolOutcome:
        assert isinstance(call, ModelCall)
        self.contexts.append(call.messages)
        return ModelOutcome(outcome=Outcome.ok, provider="p", model="m")

    def cancelled(self, call: ModelCall | ToolCall, deltas: object) -> ModelOutcome | ToolOutcome:
        raise AssertionError


class Wire:
    """Calls handlers in this process and counts the messages that travel."""

    def __init__(self, host: EffectHost) -> None:
        self.host = host
        self.handlers = host_handlers(host)
        self.sent: list[int] = []

    def lose(self) -> None:
        """What a host keeps of contexts is gone."""
        self.handlers = host_handlers(self.host)

    async def call(self, method: str, /, **args: Any) -> Any:
        self.sent.append(len(args["messages"]))
        return await self.handlers[method](**args)  # pyright: ignore[reportGeneralTypeIssues] - not a stream

    def stream(self, method: str, /, **args: Any) -> AsyncIterator[Any]:
        raise AssertionError


def model_call(host: HostRef, number: int, messages: tuple[bytes, ...]) -> ModelCall:
    return ModelCall(
        call_id=f"j:1:{number}",
        tenant="t",
        journal_id="j",
        session_id="s",
        turn_id="turn-1",
        epoch=1,
        host=host,
        llm=LlmConfig.of("p/m"),
        messages=messages,
    )


@pytest.mark.parametrize("lost", [False, True])
async def test_only_new_messages_travel_and_a_host_that_lost_the_others_gets_them_again(lost: bool) -> None:
    executor = Seen()
    host = EffectHost("h", executor)
    wire, sent = Wire(host), Contexts(1000)
    remote = RemoteHost(wire, host.ref.incarnation)

    await remote.run(model_call(host.ref, 1, MESSAGES[:3]), sent)
    if lost:
        wire.lose()
    await remote.run(model_call(host.ref, 2, MESSAGES[:5]), sent)
    await remote.run(model_call(host.ref, 3, MESSAGES[4:]), sent)

    assert executor.contexts == [MESSAGES[:3], MESSAGES[:5], MESSAGES[4:]]
    assert wire.sent == ([3, 2, 5, 2] if lost else [3, 2, 2])
    await host.close()


async def test_a_call_aside_travels_whole_and_leaves_what_is_known_of_the_conversation_alone() -> None:
    executor = Seen()
    host = EffectHost("h", executor)
    wire, sent = Wire(host), Contexts(1000)
    remote = RemoteHost(wire, host.ref.incarnation)

    await remote.run(model_call(host.ref, 1, MESSAGES[:3]), sent)
    aside = model_call(host.ref, 2, MESSAGES[4:5]).model_copy(update={"aside": True})
    await remote.run(aside, sent)
    await remote.run(model_call(host.ref, 3, MESSAGES[:4]), sent)

    assert executor.contexts == [MESSAGES[:3], MESSAGES[4:5], MESSAGES[:4]]
    assert wire.sent == [3, 0, 1]
    await host.close()
