"""Tool names on the wire: both providers allow letters, digits, ``_`` and ``-`` only, ours may also have dots."""

from __future__ import annotations

import re
from collections.abc import Iterable

from actors.domain.tools import MAX_TOOL_NAME

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


class ToolNames:
    """A reversible mapping of the tools of one call.

    Args:
        tools: The tools' names; two that would look the same on the wire are told apart by a number.
    """

    def __init__(self, tools: Iterable[str] = ()) -> None:
        self._wire: dict[str, str] = {}
        self._real: dict[str, str] = {}
        # Names that are fine as they are come first, so that none of them has to give way to a changed one.
        for name in sorted(set(tools), key=lambda name: (_plain(name) != name, name)):
            wire = self._free(_plain(name))
            self._wire[name] = wire
            self._real[wire] = name

    def wire(self, name: str) -> str:
        """The name to send; names of no known tool, which histories hold too, are made acceptable."""
        return self._wire.get(name) or _plain(name)

    def real(self, wire: str) -> str:
        """The tool's own name; what the model made up stays as it is."""
        return self._real.get(wire, wire)

    def _free(self, wanted: str) -> str:
        wire, number = wanted, 2
        while wire in self._real:
            wire = f"{wanted[: MAX_TOOL_NAME - 4]}_{number}"
            number += 1
        return wire


def _plain(name: str) -> str:
    return _FOREIGN.sub("_", name)[:MAX_TOOL_NAME] or "unknown"
