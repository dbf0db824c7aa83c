"""Calls to another node: over its port, and another way round while nobody can connect there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from actors.caller import Detour
from actors.errors import TransportLost


class Way:
    """Answers with its own name; a connection may be refused, and a call may break."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused = False
        self.breaks = False
        self.attempts = 0
        self.closed = False
        self.streams = 0

    async def connect(self) -> None:
        self.attempts += 1
        if self.refused:
            raise TransportLost(self.name)

    async def call(self, method: str, /, **args: Any) -> Any:
        if self.breaks:
            raise TransportLost(self.name)
        return self.name

    async def stream(self, method: str, /, **args: Any) -> AsyncGenerator[Any]:
        self.streams += 1
        try:
            while True:
                yield self.name
        finally:
            self.streams -= 1

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def tcp() -> Way:
    return Way("tcp")


@pytest.fixture
def detour(tcp: Way) -> Detour:
    return Detour(tcp, Way("ray"))


async def test_calls_take_the_connection_where_there_is_one(detour: Detour) -> None:
    assert await detour.call("ask") == "tcp"


async def test_while_nobody_can_connect_calls_go_round_without_trying_each_time(detour: Detour, tcp: Way) -> None:
    tcp.refused = True
    assert [await detour.call("ask") for _ in range(3)] == ["ray"] * 3
    assert tcp.attempts == 1


async def test_after_a_pause_the_connection_is_tried_again(tcp: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.caller.DETOUR_FIRST_S", 0.0)
    detour = Detour(tcp, Way("ray"))
    tcp.refused = True
    assert await detour.call("ask") == "ray"
    tcp.refused = False
    assert await detour.call("ask") == "tcp"


async def test_a_call_that_broke_on_its_way_is_not_made_a_second_time(detour: Detour, tcp: Way) -> None:
    tcp.breaks = True
    with pytest.raises(TransportLost):
        await detour.call("ask")


async def test_closing_a_stream_ends_it_at_its_source(detour: Detour, tcp: Way) -> None:
    stream = detour.stream("follow")
    assert await anext(stream) == "tcp"
    await stream.aclose()
    assert tcp.streams == 0


async def test_closing_lets_the_connection_go(detour: Detour, tcp: Way) -> None:
    await detour.close()
    assert tcp.closed
