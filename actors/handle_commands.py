"""How a handle gives its session a command: what every part of ``SessionHandle`` that changes something needs."""

from __future__ import annotations

from typing import Any

from actors.checks import checked_command
from actors.domain import commands as c
from actors.domain.ids import check_command_id, new_ulid
from actors.handle_reads import SessionReads


class SessionCommands(SessionReads):
    """A reading handle that can also carry commands."""

    def _identity(self, command_id: str | None) -> dict[str, Any]:
        if command_id is not None:
            return {"command_id": check_command_id(command_id)}
        return {"command_id": new_ulid(), "fresh": True}

    async def _configure(self, changes: dict[str, Any], command_id: str | None = None) -> None:
        identity = self._identity(command_id)
        command = checked_command(lambda: c.Configure(**identity, **changes, set_fields=tuple(sorted(changes))))
        await self._runtime.check_security(command.security)
        await self._do(command)

    async def _do(self, command: c.Command) -> c.Reply:
        return (await self._runtime.submit(self._tenant, self.journal_id, command)).reply
