"""Usage and cost, of one session and of all."""

from __future__ import annotations

from datetime import date

from actors.domain.usage import UsageReport
from actors.manager_lookup import SessionLookup
from actors.reading.usage import days


class UsageOperations(SessionLookup):
    """What ``SessionManager`` knows of tokens and money."""

    async def usage(
        self,
        session_id: str | None = None,
        *,
        tree: bool = False,
        since: date | None = None,
        until: date | None = None,
    ) -> UsageReport:
        """Tokens and money by model and by day: of one session, see ``SessionHandle.usage``, or of all there are."""
        if session_id is not None:
            return await (await self._session(session_id)).usage(tree=tree, since=since, until=until)
        first, end = days(since, until)
        return UsageReport.of(await self._runtime.store.spent(self.tenant, since=first, until=end))
