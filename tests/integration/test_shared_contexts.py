"""Large contexts are put into Ray's object store once, for all forks; nothing depends on them."""

from __future__ import annotations

import asyncio
from typing import Any

import ray.exceptions

from actors.cluster.links import actor_named
from tests.integration.crash_site import BOUND_S, kill
from tests.integration.runtimes import MakeRuntime
from tests.integration.waiting import until_told

FORKS = 64
LARGE = "x" * 30_000
MESSAGES = 20
"""600,000 bytes of messages, each too small to be kept apart: more than what is sent to each fork."""


async def test_all_forks_read_one_object_and_when_its_owner_dies_they_read_the_store(
    fresh_runtime: MakeRuntime,
) -> None:
    manager = await fresh_runtime(llm="scripted/echo", sessions_per_actor=FORKS, max_resident=1)
    source = await manager.create_session("source")
    await asyncio.gather(*(source.add_message(LARGE) for _ in range(MESSAGES)))
    forks = [await manager.fork_session("source", f"fork-{number}") for number in range(FORKS)]

    await asyncio.gather(*(fork.configure(name="woken") for fork in forks))

    assert {(await fork.info()).messages for fork in forks} == {MESSAGES}
    shared = (await manager.runtime_status())["shared_contexts"]
    assert (shared["puts"], shared["given"], shared["objects"]) == (1, FORKS, 1)
    assert shared["bytes"] > MESSAGES * len(LARGE)
    # What drivers read is that object too.
    table: Any = await source.context_table()
    assert (table.num_rows, table.column_names) == (MESSAGES, ["seq", "message"])
    assert (await manager.runtime_status())["shared_contexts"]["puts"] == 1
    reference: Any = await source.context_ref(at=MESSAGES)

    await kill(actor_named(f"{manager.settings.runtime}.store"))

    assert (await source.context_table()).num_rows == MESSAGES
    late = await manager.fork_session("source", "late")
    assert (await late.generate("hello", timeout=BOUND_S)).text == "hello"
    assert {len(message.text) for message in (await late.history())[:MESSAGES]} == {len(LARGE)}

    async def owner_is_dead() -> bool:
        try:
            await reference
        except ray.exceptions.OwnerDiedError:
            return True
        return False

    await until_told(owner_is_dead, what="the object goes with its owner")
