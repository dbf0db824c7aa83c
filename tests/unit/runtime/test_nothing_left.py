"""A session that has left a process has left nothing in it."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from actors.domain.calls import Attached, ModelCall, ToolCall
from actors.domain.commands import Cancel, Send
from actors.domain.ids import new_ulid
from actors.domain.messages import Message
from actors.errors import SessionNotFound
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from tests.canary import holders, text_of
from tests.unit.runtime.parts import LIMIT_S, TENANT, FakeHosts, answer, create, gated_store

SAID = ("canary said by", "a person")
ANSWERED = ("canary given by", "a model")
NAMED = ("journal", "of the canary")


class Answering(FakeHosts):
    """Every call is answered at once, unless the test wants to be asked."""

    at_once = True

    async def run(self, call: ModelCall | ToolCall) -> Attached:
        return answer(call, text_of(ANSWERED)) if self.at_once else await super().run(call)


async def live(host: SessionHost, hosts: Answering, *, leave: str) -> None:
    """A turn, and the end of its session here. Nothing of it is left in the caller's frame."""
    journal_id = text_of(NAMED)
    hosts.at_once = leave == "release"
    await host.assign(TENANT, journal_id, 0, 1)
    send = Send(command_id=new_ulid(), message=Message.user(text_of(SAID)), fresh=True)
    done = await host.submit(journal_id, 1, send, wait_s=5.0 if hosts.at_once else 0.0)
    if leave == "release":
        assert done.end is not None
        assert done.end.text == text_of(ANSWERED)
        assert await host.release(journal_id, 1)
    elif leave == "drop":
        await hosts.asked.get()
        await host.drop(journal_id, SessionNotFound(journal_id))
    else:
        await hosts.asked.get()
        await host.submit(journal_id, 1, Cancel(command_id=new_ulid(), fresh=True), wait_s=5.0)
        await settle()
        assert await host.release(journal_id, 1)


async def settle() -> None:
    """Let every task run until it waits for something else than its turn."""
    for _ in range(50):
        await asyncio.sleep(0)


def standing() -> tuple[int, list[str]]:
    """Threads and context variables of this moment."""
    variables = sorted(f"{name.name}={value!r}" for name, value in contextvars.copy_context().items())
    return threading.active_count(), variables


@pytest.mark.parametrize("leave", ["release", "drop", "cancel"])
async def test_nothing_of_a_session_stays_in_the_process_that_hosted_it(leave: str) -> None:
    async with gated_store() as store:
        hosts = Answering()
        host = SessionHost(store, hosts, Surroundings())
        # The first session of all brings what every session needs.
        await create(store, "another", text_of(NAMED))
        await host.assign(TENANT, "another", 0, 1)
        await host.release("another", 1)
        before, tasks = standing(), asyncio.all_tasks()
        await live(host, hosts, leave=leave)
        # The last acknowledgements are on their way for some milliseconds.
        left = asyncio.all_tasks() - tasks
        if left:
            assert (await asyncio.wait(left, timeout=LIMIT_S))[1] == set()
        del left
        hosts.acked.clear()
        assert standing() == before
    # The store of this test is in the same process, and forgets when it is closed.
    assert holders(SAID, ANSWERED) == []
    assert host.residents() == ()


async def test_the_search_finds_what_a_session_still_holds() -> None:
    async with gated_store() as store:
        host = SessionHost(store, Answering(), Surroundings())
        await create(store, text_of(NAMED))
        await host.assign(TENANT, text_of(NAMED), 0, 1)
        await store.close()
        assert holders(NAMED) != []
