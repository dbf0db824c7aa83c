"""What a session's calls took: the part of ``SessionHandle`` about usage, cost and time."""

from __future__ import annotations

from datetime import date

from actors.domain.security import SecurityReport
from actors.domain.tool_metrics import ToolMetrics
from actors.domain.usage import UsageReport
from actors.handle_reads import SessionReads
from actors.reading.security import report_of
from actors.reading.tool_metrics import metrics_of
from actors.reading.usage import days, of_model, of_session, of_tree


class SessionUsage(SessionReads):
    """The part of ``SessionHandle`` that is about usage, cost and time."""

    async def tool_metrics(self) -> ToolMetrics:
        """How often each tool was called, how that ended, and how long it took; a fork's own calls only."""
        return await metrics_of(self._runtime.store, await self.info())

    async def security_report(self) -> SecurityReport:
        """What was withheld, and what gave orders to the model: labels and counts, never what it was."""
        return await report_of(self._runtime.store, await self.info())

    async def usage(
        self,
        *,
        tree: bool = False,
        model: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> UsageReport:
        """Tokens and money by model and by day, summaries included; calls of models without a known price are counted.

        ``budget`` says how the session stands with its budget now, whatever days are asked for.

        Of a fork it is what it took itself, and not what its source had taken before.

        Args:
            tree: With all that descends from the session.
            model: Of one model only, as ``provider/model``.
            since: The first day, in UTC; the beginning when None.
            until: The last day, in UTC; today when None.

        Raises:
            InvalidRequest: ``until`` is before ``since``.
        """
        within = days(since, until)
        info = await self.info()
        read = of_tree if tree else of_session
        return UsageReport.of(of_model(await read(self._runtime.store, info, within), model), info.budget)
