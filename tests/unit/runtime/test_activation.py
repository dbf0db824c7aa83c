"""A session host between an assignment and its end: what overtakes what changes nothing."""

from __future__ import annotations

import asyncio

import pytest

from actors.domain.actions import Resolution
from actors.domain.calls import OUTCOME, Attached, CallKey, CallStatus, HostRef
from actors.domain.command import Command
from actors.domain.commands import Cancel, Configure, ResolveAction, Resume, Send
from actors.domain.ids import new_ulid
from actors.domain.journal import FirstOutcome, StoredResult
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message
from actors.errors import InternalError, NotHere, SessionNotFound
from actors.session.ports import ToolSpec
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from tests.unit.runtime.parts import MODEL, TENANT, FakeHosts, Gate, GatedStore, answer, create, gated_store


def send(text: str = "hello") -> Send:
    return Send(command_id=new_ulid(), message=Message.user(text), fresh=True)


async def test_an_older_activation_that_ends_last_does_not_take_the_place_of_the_newer() -> None:
    async with gated_store() as store:
        await create(store, "a")
        host = SessionHost(store, FakeHosts(), Surroundings())
        gate = Gate()
        store.gates.append(gate)
        older = asyncio.ensure_future(host.assign(TENANT, "a", 0, 1))
        await gate.reached.wait()
        await host.assign(TENANT, "a", 0, 2)
        gate.opened.set()
        with pytest.raises(NotHere):
            await older
        assert [one.assignment_no for one in host.residents()] == [2]
        assert (await host.submit("a", 2, send())).reply.seq == 2
        with pytest.raises(NotHere):
            await host.assign(TENANT, "a", 0, 1)
        await host.close()


async def test_an_older_assignment_is_not_taken_for_the_newer_that_is_under_way() -> None:
    async with gated_store() as store:
        await create(store, "a")
        host = SessionHost(store, FakeHosts(), Surroundings())
        gate = Gate()
        store.gates.append(gate)
        newer = asyncio.ensure_future(host.assign(TENANT, "a", 0, 2))
        await gate.reached.wait()
        with pytest.raises(NotHere):
            await host.assign(TENANT, "a", 0, 1)
        gate.opened.set()
        await newer
        await host.close()


@pytest.mark.parametrize(
    "command",
    [
        ResolveAction(command_id=new_ulid(), action_id="act_1", resolution=Resolution.skip),
        Resume(command_id=new_ulid()),
    ],
    ids=["refused", "nothing to do"],
)
async def test_an_older_activation_does_not_answer_out_of_what_it_knew(command: Command) -> None:
    async with gated_store() as store:
        await create(store, "a")
        older, newer = (SessionHost(store, FakeHosts(), Surroundings()) for _ in range(2))
        await older.assign(TENANT, "a", 0, 1)
        await newer.assign(TENANT, "a", 0, 2)
        with pytest.raises(NotHere):
            await older.submit("a", 1, command)
        assert older.residents() == ()
        await newer.close()


async def test_a_session_that_is_destroyed_while_it_is_loaded_is_not_resident_afterwards() -> None:
    async with gated_store() as store:
        await create(store, "a")
        host = SessionHost(store, FakeHosts(), Surroundings())
        gate = Gate()
        store.gates.append(gate)
        activation = asyncio.ensure_future(host.assign(TENANT, "a", 0, 1))
        await gate.reached.wait()
        await store.destroy(TENANT, "a", new_ulid(), "digest")
        await host.drop("a", SessionNotFound("a"))
        gate.opened.set()
        with pytest.raises(NotHere):
            await activation
        assert host.residents() == ()


async def test_who_asks_for_the_residents_waits_for_activations_whose_caller_is_gone() -> None:
    async with gated_store() as store:
        await create(store, "a")
        host = SessionHost(store, FakeHosts(), Surroundings())
        gate = Gate()
        store.gates.append(gate)
        activation = asyncio.ensure_future(host.assign(TENANT, "a", 0, 1))
        await gate.reached.wait()
        activation.cancel()
        settled = asyncio.ensure_future(host.settled())
        gate.opened.set()
        await settled
        assert [one.assignment_no for one in host.residents()] == [1]
        await host.close()


async def test_an_activation_that_fails_after_its_epoch_was_taken_can_be_given_again() -> None:
    class Broken(FakeHosts):
        broken = True

        async def tools(self) -> tuple[ToolSpec, ...]:
            if self.broken:
                raise InternalError("Broken")
            return ()

    async with gated_store() as store:
        await create(store, "a")
        hosts = Broken()
        host = SessionHost(store, hosts, Surroundings())
        with pytest.raises(InternalError):
            await host.assign(TENANT, "a", 0, 1)
        assert host.residents() == ()
        hosts.broken = False
        await host.assign(TENANT, "a", 0, 1)
        assert (await host.submit("a", 1, send())).reply.seq == 2
        await host.close()


async def test_a_model_that_is_changed_while_its_host_is_sought_is_called_at_its_own_host() -> None:
    async with gated_store() as store:
        await create(store, "a")
        hosts = FakeHosts()
        gate = hosts.finding["scripted"] = Gate()
        host = SessionHost(store, hosts, Surroundings())
        await host.assign(TENANT, "a", 0, 1)
        await host.submit("a", 1, send())
        await gate.reached.wait()
        other = LlmConfig.of("openai/gpt-4o")
        await host.submit("a", 1, Configure(command_id=new_ulid(), model=other, set_fields=("model",)))
        gate.opened.set()
        call = await hosts.asked.get()
        assert call.host.host_id == "host-of-openai"
        await host.close()


async def test_a_defect_while_a_host_is_sought_ends_the_turn_and_not_the_session() -> None:
    class Defective(FakeHosts):
        async def model_host(self, provider: str) -> HostRef:
            raise ValueError(provider)

    async with gated_store() as store:
        await create(store, "a")
        host = SessionHost(store, Defective(), Surroundings())
        await host.assign(TENANT, "a", 0, 1)
        done = await host.submit("a", 1, send(), wait_s=5.0)
        assert done.end is not None
        assert done.end.code == "InternalError"
        await host.close()


async def test_an_outcome_that_went_to_the_store_is_what_a_cancelled_call_came_to() -> None:
    async with gated_store() as store:
        await create(store, "a")
        hosts = FakeHosts()
        host = SessionHost(store, hosts, Surroundings())
        await host.assign(TENANT, "a", 0, 1)
        await host.submit("a", 1, send())
        call = await hosts.asked.get()
        kept = answer(call, "what it came to").outcome
        assert kept is not None
        body = OUTCOME.dump_json(kept)
        await store.put_result(TENANT, "a", StoredResult(call_id=call.call_id, attempt=call.attempt, outcome=body))
        hosts.cancelled = lambda key: Attached(key=key, status=CallStatus.settled_dropped)
        await host.submit("a", 1, Cancel(command_id=new_ulid(), fresh=True))
        while not any(one.type == "turn.cancelled" for one in await store.records(TENANT, "a")):
            await store.wait(TENANT, "a", after=(await store.records(TENANT, "a"))[-1].seq, wait_s=5.0)
        bodies = [one.body for one in await store.records(TENANT, "a") if one.type == "model.call.completed"]
        assert len(bodies) == 1
        assert b"what it came to" in bodies[0]
        await host.close()


async def test_the_calls_of_a_destroyed_session_leave_nothing_at_their_host() -> None:
    async with gated_store() as store:
        await create(store, "a")
        hosts = FakeHosts()
        host = SessionHost(store, hosts, Surroundings())
        await host.assign(TENANT, "a", 0, 1)
        await host.submit("a", 1, send())
        call = await hosts.asked.get()
        await host.drop("a", SessionNotFound("a"))
        assert hosts.acked == [CallKey(call_id=call.call_id, attempt=call.attempt)]


async def test_a_command_whose_history_cannot_be_read_is_answered_with_a_defect() -> None:
    class Unreadable(GatedStore):
        async def first_outcome(self, tenant: str, journal_id: str, command_id: str) -> FirstOutcome | None:
            raise KeyError(command_id)

    async with asyncio.timeout(5.0), Unreadable() as store:
        await create(store, "a")
        host = SessionHost(store, FakeHosts(), Surroundings(default_model=MODEL))
        await host.assign(TENANT, "a", 0, 1)
        with pytest.raises(InternalError):
            await host.submit("a", 1, Send(command_id=new_ulid(), message=Message.user("hello")))
        assert await host.release("a", 1)
