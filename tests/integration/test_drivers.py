"""Several drivers work on one session at the same time, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from itertools import pairwise
from pathlib import Path
from typing import Any

import ray

from actors import SessionManager
from actors.domain import records as r
from tests.integration.runtimes import NewId
from tests.integration.waiting import LONG_S

ROOT = Path(__file__).parents[2]

DRIVERS, OPERATIONS = 3, 17

_DRIVER = """
import asyncio, json, sys
from actors import SessionManager, Settings, errors

KEYED = {
    "send": lambda session, key: session.send(key, command_id=key),
    "note": lambda session, key: session.add_message(key, command_id=key),
    "name": lambda session, key: session.configure(name=key, command_id=key),
    "tasks": lambda session, key: session.set_tasks([{"id": key, "content": "x"}], command_id=key),
    "rule": lambda session, key: session.add_permission_rule("allow", key.replace("-", "_"), command_id=key),
}
OTHERS = ("pause", "resume", "cancel", "clear", "hibernate", "history")

async def tried(act):
    try:
        await act
    except (errors.SessionPaused, errors.SessionBusy) as refusal:
        return type(refusal).__name__

async def operation(manager, session_id, driver, number):
    session = await manager.get_session(session_id)
    name = (*KEYED, *OTHERS)[(number * 7 + driver) % (len(KEYED) + len(OTHERS))]
    key = f"{name}-{driver}-{number}"
    act = KEYED[name](session, key) if name in KEYED else getattr(session, name)()
    return key, await tried(act)

async def main(runtime, address, session_id, driver, operations):
    settings = Settings(runtime=runtime, ray_address=address)
    async with await SessionManager.connect(settings=settings) as manager:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        doing = [operation(manager, session_id, int(driver), number) for number in range(int(operations))]
        print(json.dumps(await asyncio.gather(*doing)), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def _driver(*arguments: object) -> Process:
    """A driver that is connected and waits for the word to begin."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", _DRIVER, *map(str, arguments)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert program.stdout is not None
    while (said := await program.stdout.readline()) != b"ready\n":
        assert said, (await program.communicate())[1].decode()
    return program


async def _told(driver: Process) -> list[tuple[str, str | None]]:
    """Its operations, and how those that were refused were."""
    out, err = await driver.communicate(b"go\n")
    assert driver.returncode == 0, err.decode()
    told: list[Any] = json.loads(out.decode().splitlines()[-1])
    return [(key, refusal) for key, refusal in told]


async def test_fifty_operations_of_several_drivers_at_once_give_one_journal_that_explains_itself(
    runtime: SessionManager, new_id: NewId
) -> None:
    session = await runtime.create_session(new_id())
    address = ray.get_runtime_context().gcs_address
    async with asyncio.timeout(2 * LONG_S):
        starting = [
            _driver(runtime.settings.runtime, address, session.session_id, number, OPERATIONS)
            for number in range(DRIVERS)
        ]
        drivers = await asyncio.gather(*starting)
        told = [one for some in await asyncio.gather(*map(_told, drivers)) for one in some]
        await session.resume()
        await session.generate("the end")

    assert len(told) == DRIVERS * OPERATIONS > 50
    journal = await session.records(limit=1000)
    assert [one.seq for one in journal] == list(range(1, len(journal) + 1))
    assert all(one.at <= after.at and one.epoch <= after.epoch for one, after in pairwise(journal))
    causes = [one.cause for one in journal]
    for key, refusal in told:
        if key.startswith(("send", "note", "name", "tasks", "rule")):
            assert (key in causes) == (refusal is None), f"{key}: {refusal}"
    inputs = [one.data.input_id for one in journal if isinstance(one, r.UserMessage)]
    taken = [name for one in journal if isinstance(one, r.TurnStarted) for name in one.data.inputs]
    assert taken == inputs, "turns take inputs in the order in which they were accepted"
    ends = [one for one in journal if isinstance(one, r.TURN_ENDS)]
    assert len(ends) == sum(isinstance(one, r.TurnStarted) for one in journal)
    assert not any(isinstance(one, r.TurnFailed) for one in ends)
    state = await session.info()
    last = [one.data.change.name for one in journal if isinstance(one, r.SessionConfigured) and one.data.change.name]
    assert state.name == (last[-1] if last else "")
    rules = {key for key, refusal in told if key.startswith("rule") and refusal is None}
    assert {rule.text for rule in (await session.permission_policy()).allow} == {key.replace("-", "_") for key in rules}
