"""The security providers that this process asks."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from actors.domain.inspection import Inspection
from actors.domain.security import SecurityConfig
from actors.inspection.inspector import Inspector

MAX_INSPECTORS = 8
"""Providers that are loaded at the same time; the one that was not used for longest makes room."""


async def check_providers(config: SecurityConfig | None) -> None:
    """Refuse a configuration whose providers cannot be loaded; none of them stays.

    Raises:
        InvalidConfig: one of them.
    """
    inspectors = Inspectors()
    try:
        await inspectors.check(config)
    finally:
        await inspectors.close()


class Inspectors:
    """Each in a process of its own, started when it is first needed, and ended with this one."""

    def __init__(self) -> None:
        self._inspectors: dict[str, Inspector] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def inspect(self, config: SecurityConfig, texts: Collection[str]) -> Mapping[str, Inspection]:
        """What the providers of a configuration find in these texts, all together.

        Raises:
            SecurityUnavailable: one of them says nothing of use.
        """
        wanted = list(texts)
        if not wanted:
            return {}
        each = await asyncio.gather(*(self._of(reference).inspect(wanted) for reference in config.providers))
        return {
            text: Inspection.model_construct(
                findings=tuple(finding for one in said for finding in one.findings),
                orders=tuple(dict.fromkeys(order for one in said for order in one.orders)),
            )
            for text, said in zip(wanted, zip(*each, strict=True), strict=True)
        }

    async def check(self, config: SecurityConfig | None) -> None:
        """Refuse a configuration whose providers cannot be loaded.

        Raises:
            InvalidConfig: one of them.
        """
        for reference in config.providers if config is not None and config.enabled else ():
            await self._of(reference).load()

    async def close(self) -> None:
        """End them."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        inspectors, self._inspectors = list(self._inspectors.values()), {}
        await asyncio.gather(*(one.close() for one in inspectors))

    def _of(self, reference: str) -> Inspector:
        inspector = self._inspectors.pop(reference, None) or Inspector(reference)
        self._inspectors[reference] = inspector
        if len(self._inspectors) > MAX_INSPECTORS:
            oldest = self._inspectors.pop(next(iter(self._inspectors)))
            task = asyncio.get_running_loop().create_task(oldest.retire())
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        return inspector
