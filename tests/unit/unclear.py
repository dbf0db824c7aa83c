"""What a host in a test needs beside what the test is about."""

from __future__ import annotations

from actors.domain.calls import UNCLEAR, HostRef, Reconciled, ToolCall


class Unclear:
    """An executor that can tell nothing of calls that others began."""

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        return UNCLEAR


class UnclearHosts:
    """Hosts that can tell nothing of calls that others began."""

    async def reconcile(self, host: HostRef, call: ToolCall, recorded: bytes | None) -> Reconciled:
        return UNCLEAR
