"""A connection of the data plane that breaks as a request arrives, or as a reply leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from actors import faults
from actors.channel import ChannelServer, Link
from actors.errors import TransportLost
from actors.faults import Fault, Point, What

TOKEN = "a-token-that-nobody-guesses"
LIMIT_S = 20.0


@pytest.fixture(autouse=True)
def nothing_stays_armed() -> Iterator[None]:
    yield
    faults.disarm()


class Counted:
    """Counts its calls; another waits for ever, a stream has begun and does not end."""

    def __init__(self) -> None:
        self.calls = 0
        self.waiting = asyncio.Event()

    async def count(self) -> int:
        self.calls += 1
        return self.calls

    async def wait(self) -> None:
        self.waiting.set()
        await asyncio.Event().wait()

    async def follow(self) -> AsyncIterator[str]:
        yield "begun"
        await asyncio.Event().wait()


@pytest.mark.parametrize(("point", "carried_out"), [(Point.wire_request, 0), (Point.wire_reply, 1)])
async def test_a_cut_connection_takes_all_with_it_and_the_next_call_makes_a_new_one(
    tmp_path: Path, point: Point, carried_out: int
) -> None:
    counted = Counted()
    handlers = {"count": counted.count, "wait": counted.wait, "follow": counted.follow}
    server = ChannelServer(handlers, TOKEN)
    address = await server.start_unix(tmp_path / "s")

    async def resolve() -> str:
        return address

    link = Link(resolve, TOKEN)
    async with asyncio.timeout(LIMIT_S):
        others = asyncio.ensure_future(link.call("wait"))
        stream = link.stream("follow")
        assert await anext(stream) == "begun"
        await counted.waiting.wait()

        faults.arm(Fault(point, 1, What.cut))
        with pytest.raises(TransportLost):
            await link.call("count")
        assert counted.calls == carried_out
        with pytest.raises(TransportLost):
            await others
        with pytest.raises(TransportLost):
            await anext(stream)

        assert await link.call("count") == carried_out + 1
        await link.close()
        await server.close()
