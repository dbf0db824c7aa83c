"""Usage, cost and time, of one session and of all."""

from __future__ import annotations

from datetime import date

from actors.domain.security import SecurityReport
from actors.domain.tool_metrics import ToolMetrics
from actors.domain.usage import UsageReport
from actors.manager_lookup import SessionLookup
from actors.reading.usage import days, of_model


class UsageOperations(SessionLookup):
    """What ``SessionManager`` knows of tokens and money."""

    async def usage(
        self,
        session_id: str | None = None,
        *,
        tree: bool = False,
        model: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> UsageReport:
        """Tokens and money by model and by day: of one session, see ``SessionHandle.usage``, or of all there are."""
        if session_id is not None:
            return await (await self._session(session_id)).usage(tree=tree, model=model, since=since, until=until)
        first, end = days(since, until)
        spent = await self._runtime.store.spent(self.tenant, since=first, until=end)
        return UsageReport.of(of_model(spent, model))

    async def tool_metrics(self, session_id: str) -> ToolMetrics:
        """See ``SessionHandle.tool_metrics``."""
        return await (await self._session(session_id)).tool_metrics()

    async def security_report(self, session_id: str) -> SecurityReport:
        """See ``SessionHandle.security_report``."""
        return await (await self._session(session_id)).security_report()
