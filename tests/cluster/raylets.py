"""Boundary between the tests and a cluster of several raylets on this machine: nodes come, go, freeze and thaw."""

from __future__ import annotations

import os
import signal
from typing import Any

import ray
from ray.cluster_utils import Cluster

from actors.cluster.links import NAMESPACE
from actors.cluster.nodes import living
from tests.integration.processes import descendants
from tests.integration.waiting import until

OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""Smaller than Ray's default of a third of the memory; nothing large goes through it."""

NODE_BYTES = 2 * 1024 * 1024 * 1024
"""What each node says it has: room for 16 session actors."""

HEALTH_CHECKS = {
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 5,
}
"""As in ``cluster.yaml``, but for a shorter time-out: a lost node is noticed in about 5 s, a frozen one in 10."""


class Raylets:
    """A head and one worker at a time; each worker has a name of its own."""

    def __init__(self) -> None:
        self._cluster = Cluster()
        self._add("head", num_cpus=2, include_dashboard=False, _system_config=HEALTH_CHECKS)
        ray.init(address=self._cluster.address, namespace=NAMESPACE, log_to_driver=False)
        self._workers = 0
        self._worker: Any = None
        self._pids: set[int] = set()

    def _add(self, name: str, **options: Any) -> Any:
        return self._cluster.add_node(
            node_name=name, memory=NODE_BYTES, object_store_memory=OBJECT_STORE_BYTES, **options
        )

    async def worker(self) -> None:
        """See to it that there is a living worker."""
        if self._worker is None:
            self._workers += 1
            # Not in a thread, though it takes a second: Ray wants to set a signal handler.
            self._worker = self._add(f"worker-{self._workers}", num_cpus=1)
            await until(lambda: len(living()) == 2, what="the worker joins")

    @property
    def name(self) -> str:
        """The worker's name."""
        return f"worker-{self._workers}"

    def runs(self, pid: int) -> bool:
        """Whether a process is the worker's."""
        return pid in descendants(self.pid)

    @property
    def pid(self) -> int:
        """The process of the worker's raylet."""
        return self._worker.all_processes["raylet"][0].process.pid

    def _signal(self, number: int, pids: set[int]) -> None:
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def freeze(self, *, with_workers: bool) -> None:
        """Stop the worker's raylet, alone or with everything it runs."""
        self._pids = {self.pid, *(descendants(self.pid) if with_workers else ())}
        self._signal(signal.SIGSTOP, self._pids)

    def thaw(self) -> None:
        """Let what was frozen go on."""
        self._signal(signal.SIGCONT, self._pids)

    def kill(self) -> None:
        """Kill the worker's raylet and everything it runs, as a loss of power would."""
        # Frozen first: nobody sees another die before it does itself.
        pids = {self.pid, *descendants(self.pid)}
        self._signal(signal.SIGSTOP, pids)
        self._signal(signal.SIGKILL, pids)
        self.forget()

    def forget(self) -> None:
        """The worker is gone for good; the next one is another node."""
        self._cluster.remove_node(self._worker, allow_graceful=False)
        self._worker = None

    def shutdown(self) -> None:
        """End everything."""
        ray.shutdown()
        self._cluster.shutdown()
