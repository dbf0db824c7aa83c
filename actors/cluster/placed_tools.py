"""Tools that ask for resources of the cluster, such as a GPU: each set of resources has a tool host of its own.

Ray places it where there is that much. It is started with the runtime, and again when it dies; until it is up, which
may be never in a cluster that has no such thing, its tools are not offered.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

import ray

from actors.cluster.host_actors import HostActors
from actors.cluster.launch import Launch, answered, remote_class
from actors.domain.tools import ToolDefinition
from actors.errors import GreenroomError
from actors.peers import RuntimeInfo, Toolbox
from actors.session.ports import ToolSpec
from actors.tool_actor import ToolActor

log = logging.getLogger(__name__)

KIND: Final = "placed"
"""Kind of these actors, as their names say."""

AGAIN_S: Final = 10.0
"""Between two tries to start a host: the cluster may grow meanwhile."""

SETTLE_S: Final = 10.0
"""How long one who asks for tools waits for hosts that are being started: Ray takes a second when there is room."""

Needs = tuple[tuple[str, float], ...]
"""Resources by name, in order."""


def needs_of(definition: ToolDefinition) -> Needs:
    """What a tool asks for."""
    return tuple(sorted(definition.resources.items()))


class PlacedTools:
    """Starts these hosts, and knows which live.

    Args:
        confirm: Called before one is started; raises when that is another registry's to do.
        changed: Called when the tools that sessions can use may be others.
    """

    def __init__(
        self,
        launch: Launch,
        hosts: HostActors,
        info: Callable[[], RuntimeInfo],
        confirm: Callable[[], Awaitable[None]],
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._launch = launch
        self._hosts = hosts
        self._info = info
        self._confirm = confirm
        self._changed = changed
        self._boxes: dict[Needs, Toolbox] = {}
        self._starting: dict[Needs, asyncio.Task[None]] = {}
        self._adopting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._settled_by = 0.0

    def begin(self, definitions: Iterable[ToolDefinition], left: Mapping[str, Any]) -> None:
        """Take over the hosts of a former registry, and start those that these tools need and that there are not.

        Nobody waits for that: one that waits for its resources answers nothing.

        Args:
            left: The actors that the former registry has left, by name.
        """
        wanted = {needs_of(one) for one in definitions}
        self._be_patient()
        self._adopting = self._task(self._adopt_all(left, wanted))

    async def _adopt_all(self, left: Mapping[str, Any], wanted: set[Needs]) -> None:
        await asyncio.gather(*(self._adopt(name, handle) for name, handle in left.items()))
        for needs in wanted - self._boxes.keys() - self._starting.keys():
            self._start(needs)

    async def _adopt(self, name: str, handle: Any) -> None:
        try:
            async with asyncio.timeout(self._launch.settings.silence_s):
                self._know(name, handle, await answered(handle.toolbox.remote(), name))
        except (TimeoutError, GreenroomError, AssertionError) as exc:
            log.warning("%s is left behind and ended: %s", name, exc or "it does not answer")
            ray.kill(handle)

    async def specs(self) -> tuple[ToolSpec, ...]:
        """The tools whose hosts are up. Waits a little for those that were begun a moment ago."""
        await self._until_settled(self._adopting)
        await self._until_settled(*self._starting.values())
        return tuple(ToolSpec(one, box.host.ref) for box in self._boxes.values() for one in box.definitions)

    def _be_patient(self) -> None:
        """What is begun now is worth a wait."""
        self._settled_by = asyncio.get_running_loop().time() + SETTLE_S

    async def _until_settled(self, *begun: asyncio.Task[None] | None) -> None:
        left_s = self._settled_by - asyncio.get_running_loop().time()
        tasks = [one for one in begun if one is not None and not one.done()]
        if tasks and left_s > 0:
            await asyncio.wait(tasks, timeout=left_s)

    @property
    def status(self) -> dict[str, str]:
        """How it stands with each set of resources, for people."""
        up = {_shown(needs): f"on {box.node}" for needs, box in self._boxes.items()}
        return up | {_shown(needs): "waits for these resources" for needs in self._starting}

    def bury(self, name: str) -> None:
        """An actor is dead; when it was one of these, another takes its place."""
        for needs, box in list(self._boxes.items()):
            if box.host.peer.name == name:
                del self._boxes[needs]
                self._be_patient()
                self._start(needs)

    def close(self) -> None:
        """Start nothing more."""
        for task in self._tasks:
            task.cancel()

    def _start(self, needs: Needs) -> None:
        self._starting[needs] = self._task(self._until_up(needs))

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _until_up(self, needs: Needs) -> None:
        while True:
            try:
                await self._confirm()
                await self._open(needs)
                break
            except GreenroomError as exc:
                log.warning("no host for tools that need %s yet: %s", _shown(needs), exc)
            except Exception:
                log.exception("no host for tools that need %s yet", _shown(needs))
            await asyncio.sleep(AGAIN_S)
        # Those who are told ask for the tools, and have to wait for this one no longer.
        del self._starting[needs]
        await self._changed()

    async def _open(self, needs: Needs) -> None:
        name = self._launch.name(KIND)
        asked = dict(needs)
        options: dict[str, Any] = {"num_cpus": asked.pop("CPU", 0), "num_gpus": asked.pop("GPU", 0), "resources": asked}
        handle = remote_class(ToolActor, name, **options).remote(name)
        settings = self._launch.settings
        opening = handle.open.remote(
            self._info(), self._launch.tools, settings.tool_running, settings.tool_options, dict(needs)
        )
        self._know(name, handle, await answered(opening, name, handle))

    def _know(self, name: str, handle: Any, box: Toolbox) -> None:
        self._boxes[needs_of(box.definitions[0])] = box
        self._hosts.watch(name, handle, box.host)


def _shown(needs: Needs) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in needs)
