"""Sessions on several nodes: where they are placed, and how the nodes talk to each other."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
import ray

from actors import SessionManager
from actors.channel import ChannelClient
from actors.cluster.links import actor_named
from actors.errors import Unauthorized
from tests.cluster.raylets import Raylets
from tests.cluster.sessions import BOUND_S, Sessions, answered, assert_gapless, started
from tests.cluster.sockets import connected, listening
from tests.integration.crash_site import Gate, actors_of
from tests.integration.waiting import until_told


async def _pids(manager: SessionManager, kind: str) -> list[int]:
    return [await actor_named(name).pid.remote() for name in actors_of(manager.settings.runtime, kind)]


async def test_a_node_that_is_alone_opens_no_port(manager: SessionManager, sessions: Sessions) -> None:
    await (await sessions.new()).generate("hello", timeout=BOUND_S)
    rays = await _ports_of_a_bare_actor()

    for kind in ("store", "models", "tools", "session"):
        for pid in await _pids(manager, kind):
            assert len(listening(pid)) == rays, f"an actor of kind {kind} listens beside Ray"


async def _ports_of_a_bare_actor() -> int:
    @ray.remote(num_cpus=0)
    class Bare:
        async def pid(self) -> int:
            return os.getpid()

    bare: Any = cast("Any", Bare).remote()
    return len(listening(await bare.pid.remote()))


async def test_sessions_are_spread_over_the_nodes_and_a_turn_with_a_tool_crosses_them_over_tcp(
    manager: SessionManager, raylets: Raylets, sessions: Sessions, tmp_path: Path
) -> None:
    session = await sessions.on_worker()
    gate = Gate(tmp_path)

    receipt = await session.send(gate.prompt("crossed"))
    await gate.begun()
    await gate.open()
    result = await session.wait_turn(receipt, timeout=BOUND_S)

    assert result.text == "crossed"
    assert gate.lines == ["begin", "end"]
    await assert_gapless(session)
    pid = await sessions.pid(session)
    (store,) = await _pids(manager, "store")
    assert connected(os.getpid()) & listening(pid), "the driver on the head reaches the session over TCP"
    assert connected(pid) & listening(store), "the session reaches the store over TCP"
    assert "0.0.0.0" not in {end.host for end in listening(pid)}
    (call,) = await started(session)
    host = await _pids(manager, "tools")
    assert any(raylets.runs(one) for one in host), "the worker has a tool host of its own"
    assert call.data.host.host_id in actors_of(manager.settings.runtime, "tools")


async def test_a_session_comes_back_to_the_node_of_its_files(raylets: Raylets, sessions: Sessions) -> None:
    session = await sessions.on_worker()
    await session.generate("/tool ls {}\nlooked", timeout=BOUND_S)
    assert (await session.info()).workspace_node == raylets.name

    for _ in range(3):
        # With both nodes empty the oldest session actor would be taken, which is on the head.
        assert await session.hibernate()
        await session.generate("hello", timeout=BOUND_S)
        assert await sessions.is_on_worker(session)


async def test_sessions_of_another_node_find_a_restarted_store_again(
    manager: SessionManager, raylets: Raylets, sessions: Sessions
) -> None:
    session = await sessions.on_worker()
    (before,) = await _pids(manager, "store")
    pinned = [*await _pids(manager, "store"), *await _pids(manager, "registry")]
    assert not any(raylets.runs(pid) for pid in pinned), "on the head"

    os.kill(before, signal.SIGKILL)

    assert (await answered(session, "after")).text == "after"
    (after,) = await _pids(manager, "store")

    async def crosses() -> bool:
        await answered(session, "again")
        return bool(connected(await sessions.pid(session)) & listening(after))

    # As long as nobody could connect, calls went over Ray; that is left after a moment.
    await until_told(crosses, what="the session reaches the store over TCP, on another port")
    await assert_gapless(session)


def _cut(actor: Any, ports: set[int]) -> int:
    """Cut, as a network would, all TCP connections of this process with one of these ports at an end."""
    cut = 0
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            if not str(entry.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as end:
                if end.family == socket.AF_INET and {end.getpeername()[1], end.getsockname()[1]} & ports:
                    end.shutdown(socket.SHUT_RDWR)
                    cut += 1
    return cut


async def test_a_connection_between_nodes_that_is_cut_loses_and_repeats_nothing(
    manager: SessionManager, sessions: Sessions, tmp_path: Path
) -> None:
    session = await sessions.on_worker()
    await session.resolve()
    actor, epoch = session.actor, (await session.info()).epoch
    (store,) = [actor_named(name) for name in actors_of(manager.settings.runtime, "store")]
    ports = {int((await one.far.remote()).rpartition(":")[2]) for one in (store, actor)}
    gate = Gate(tmp_path)
    receipt = await session.send(gate.prompt("crossed"), command_id="held")
    await gate.begun()

    cut = await actor.__ray_call__.remote(_cut, ports)
    assert cut >= 2, "the driver reached the session over TCP, and the session the store"
    await gate.open()

    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "crossed"
    assert gate.lines == ["begin", "end"]
    for number in range(10):
        asked = asyncio.create_task(answered(session, f"{number}", f"c-{number}"))
        await actor.__ray_call__.remote(_cut, ports)
        assert (await asked).text == f"{number}"
    await assert_gapless(session)
    inputs = [one for one in await session.records(limit=1000) if one.type == "user.message"]
    assert [one.cause for one in inputs][1:] == ["held", *(f"c-{number}" for number in range(10))]
    assert (await session.info()).epoch == epoch, "nobody took it for dead"


async def test_who_does_not_know_the_token_is_refused(manager: SessionManager, sessions: Sessions) -> None:
    session = await sessions.on_worker()
    await session.resolve()
    address = await session.actor.far.remote()
    assert address.startswith("tcp:")

    with pytest.raises(Unauthorized):
        await ChannelClient.connect(address, "x" * 43)
