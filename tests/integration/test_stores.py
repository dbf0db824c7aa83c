"""SQLite, memory and PostgreSQL in one runtime on Ray: through the death of their actor, and a restart."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from actors import SessionConfig, errors
from actors.cluster.links import actor_named
from actors.storage.verify import Verification
from tests.integration.crash_site import BOUND_S
from tests.integration.runtimes import MakeRuntime
from tests.postgres import PASSWORD, started_server


async def test_sessions_of_three_stores_live_as_long_as_their_stores_do(
    fresh_runtime: MakeRuntime, tmp_path: Path
) -> None:
    with closing(started_server()) as servers:
        server = next(servers)
        stores = {"scratch": "memory:", "team": server.url()}
        manager = await fresh_runtime(directory=tmp_path, stores=stores, activation_wait_s=BOUND_S)
        for kind in ("file", "memory", "custom"):
            await manager.create_session(kind, SessionConfig(storage_type=kind))
            assert (await manager.generate(kind, "/say before")).text == "before"
        (child,) = await manager.spawn_many("custom", ["/say from the child"])
        assert (await manager.wait_children("custom"))[0].text == "from the child"
        assert PASSWORD not in str(await manager.runtime_status())

        os.kill(await actor_named(f"{manager.settings.runtime}.store").pid.remote(), signal.SIGKILL)

        for kind in ("file", "custom"):
            assert (await manager.generate(kind, "/say after")).text == "after"
        with pytest.raises(errors.SessionNotFound):
            await manager.generate("memory", "/say after")
        assert all(one.ok for one in await manager.store_health())
        await manager.close()

        again = await fresh_runtime(directory=tmp_path, stores=stores, activation_wait_s=BOUND_S)
        assert {row.session_id for row in (await again.list_sessions()).items} == {"file", "custom", child.session_id}
        assert len(await again.history("custom")) == 4
        await again.close()
        assert [str(finding) for url in (str(tmp_path), server.url()) for finding in Verification(url)] == []
