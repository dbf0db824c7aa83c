"""A session actor before its first session and after it: it had everything it needed, and it keeps nothing."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

from ray.exceptions import RayActorError

from actors import PermissionPolicy, SessionConfig, SessionManager
from actors.cluster.links import actor_named
from tests.canary import holders, text_of
from tests.integration.crash_site import BOUND_S, actors_of, kill_all
from tests.integration.runtimes import NewId
from tests.integration.waiting import action_of, until_told

SAID = ("a word that only", "this session has heard")

MAY_COME = ("tests", "pytest", "encodings")
"""Modules of the questions that are asked here, and codecs of a few lines."""


def _is_warm(actor: Any) -> bool:
    return "_warming" in vars(actor) and actor._warming.done()


def _modules(actor: Any) -> set[str]:
    return {name for name in sys.modules if name.partition(".")[0] not in MAY_COME}


def _holders(actor: Any, parts: tuple[str, str]) -> list[str]:
    return holders(parts)


async def test_a_blank_session_actor_has_imported_all_it_needs_and_keeps_nothing_of_a_session(
    runtime: SessionManager, new_id: NewId
) -> None:
    prefix = runtime.settings.runtime
    before = set(actors_of(prefix, "session"))
    await kill_all(prefix, "session")
    blank: dict[str, set[str]] = {}

    async def warm_again() -> bool:
        for name in set(actors_of(prefix, "session")) - before - blank.keys():
            handle = actor_named(name)
            with suppress(RayActorError):
                if handle is not None and await handle.__ray_call__.remote(_is_warm):
                    blank[name] = await handle.__ray_call__.remote(_modules)
        return len(blank.keys() & actors_of(prefix, "session")) >= runtime.settings.min_warm

    await until_told(warm_again, what="the session actors that died are replaced", within_s=BOUND_S)
    session = await runtime.create_session(new_id(), SessionConfig(permission_policy=PermissionPolicy(ask=["bash"])))

    command = json.dumps({"command": f"echo {text_of(SAID)}"})
    receipt = await session.send(f"/tool bash {command}\n{text_of(SAID)}")
    await session.resolve_action((await action_of(session)).action_id, "approve")
    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == text_of(SAID)
    await session.resolve()
    actor = session.actor
    name = await actor.ping.remote()
    assert await session.hibernate()

    assert await actor.__ray_call__.remote(_modules) - blank[name] == set()

    async def has_forgotten() -> bool:
        return await actor.__ray_call__.remote(_holders, SAID) == []

    # The last acknowledgements are on their way for some milliseconds.
    await until_told(has_forgotten, what="something of the session stays in the process")
