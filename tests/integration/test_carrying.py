"""A command is carried after its session, wherever that goes; the actors are stand-ins, so no cluster is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from actors.cluster import runtime
from actors.cluster.runtime import ClusterRuntime
from actors.domain.commands import Reply, Send
from actors.domain.contexts import NOTHING
from actors.domain.messages import Message
from actors.errors import GreenroomError, NotHere, TransportLost
from actors.peers import Peer, RuntimeInfo, World

INFO = RuntimeInfo(
    runtime="r",
    token=SecretStr("t"),
    store=Peer(name="store", node_id="n"),
    registry=Peer(name="registry", node_id="n"),
    term=1,
    world=World(),
)
COMMAND = Send(command_id="c", message=Message.user("hello"), fresh=True)


class Cluster:
    """A registry that gives each question for the session the next assignment, and actors that answer in their turn.

    Args:
        answers: What the actor of each assignment says: an error, or None when it carries the command out.
    """

    def __init__(self, answers: Callable[[int], GreenroomError | None]) -> None:
        self.node_id = "n"
        self.stale: list[int] = []
        self.fresh: list[bool] = []
        self.dropped: list[Peer] = []
        self._answers = answers

    def to(self, peer: Peer) -> Cluster:
        return self

    async def drop(self, peer: Peer) -> None:
        self.dropped.append(peer)

    async def call(self, method: str, /, **args: Any) -> Any:
        return await {"resolve": self._resolve, "submit": self._submit}[method](**args)

    async def _resolve(self, tenant: str, journal_id: str, stale: int) -> tuple[dict[str, str], int]:
        assert (tenant, journal_id) == ("default", "j")
        self.stale.append(stale)
        return Peer(name=f"actor-{len(self.stale)}", node_id="n").model_dump(), len(self.stale)

    async def _submit(self, **args: Any) -> dict[str, Any]:
        self.fresh.append(args["fresh"])
        error = self._answers(args["assignment_no"])
        if error is not None:
            raise error
        reply = Reply(seq=args["assignment_no"]).model_dump_json().encode()
        return {"reply": reply, "end": None, "base": list(NOTHING), "context": [], "waits": False}


@pytest.fixture
def join(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cluster], ClusterRuntime]:
    def joined(cluster: Cluster) -> ClusterRuntime:
        monkeypatch.setattr(runtime, "Links", lambda *_args, **_options: cluster)
        monkeypatch.setattr(runtime, "RegistryLink", lambda _info: cluster)
        monkeypatch.setattr(runtime, "RETRY_FIRST_S", 0.0)
        monkeypatch.setattr(runtime, "RETRY_MAX_S", 0.001)
        return ClusterRuntime(INFO)

    return joined


async def test_a_command_follows_a_session_that_has_moved(join: Callable[[Cluster], ClusterRuntime]) -> None:
    cluster = Cluster(lambda number: NotHere("j", number) if number < 3 else None)

    done = await join(cluster).submit("default", "j", COMMAND)

    assert done.reply.seq == 3
    assert cluster.stale == [0, 1, 2], "the registry is told which assignment did not work"
    assert cluster.fresh == [True, False, False], "a command that was given before is looked up"
    assert cluster.dropped == []


async def test_a_command_whose_actor_died_is_given_again(join: Callable[[Cluster], ClusterRuntime]) -> None:
    cluster = Cluster(lambda number: TransportLost("actor-1") if number == 1 else None)

    assert (await join(cluster).submit("default", "j", COMMAND)).reply.seq == 2

    assert cluster.fresh == [True, False]
    assert [peer.name for peer in cluster.dropped] == ["actor-1"]


@pytest.mark.parametrize("error", [NotHere("j", 1), TransportLost("actor")], ids=["nowhere", "dead"])
async def test_a_session_that_is_nowhere_for_too_long_is_an_error(
    join: Callable[[Cluster], ClusterRuntime], monkeypatch: pytest.MonkeyPatch, error: GreenroomError
) -> None:
    monkeypatch.setattr(runtime, "GIVE_UP_S", 0.02)
    cluster = Cluster(lambda _: error)

    async with asyncio.timeout(10):
        with pytest.raises(type(error)):
            await join(cluster).submit("default", "j", COMMAND)

    assert len(cluster.stale) > 1, "it was tried again before"
