"""What models took: tokens and money, by model and by day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from actors.domain.base import Frozen
from actors.domain.budgets import BudgetStanding
from actors.domain.messages import TokenUsage


class Spent(Frozen):
    """Model calls together.

    Attributes:
        calls: Those that gave an answer, and those that failed and took tokens all the same.
        unpriced_calls: Those of them whose model has no known price.
        cost_usd: Price of the others in US dollars as a decimal string.
    """

    calls: int = 0
    unpriced_calls: int = 0
    usage: TokenUsage = TokenUsage()
    cost_usd: str = "0"

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            calls=self.calls + other.calls,
            unpriced_calls=self.unpriced_calls + other.unpriced_calls,
            usage=self.usage + other.usage,
            cost_usd=format(Decimal(self.cost_usd) + Decimal(other.cost_usd), "f"),
        )


class SpentOn(Frozen):
    """What one model took on one day (UTC). ``model`` is ``provider/model``."""

    day: date
    model: str
    spent: Spent


class ModelUsage(Frozen):
    """What one model took."""

    model: str
    spent: Spent


class DayUsage(Frozen):
    """What one day (UTC) took."""

    day: date
    spent: Spent


class UsageReport(Frozen):
    """Tokens and money over some sessions and days.

    Attributes:
        by_model: The dearest first; of those that cost the same, the one with more tokens.
        by_day: In order.
        budget: Of one session with a budget: how it stands.
    """

    total: Spent = Spent()
    by_model: tuple[ModelUsage, ...] = ()
    by_day: tuple[DayUsage, ...] = ()
    budget: BudgetStanding | None = None

    @classmethod
    def of(cls, rows: Iterable[SpentOn], budget: BudgetStanding | None = None) -> UsageReport:
        """The report over what was spent, row by row."""
        total, models, days = Spent(), dict[str, Spent](), dict[date, Spent]()
        for row in rows:
            total += row.spent
            models[row.model] = models.get(row.model, Spent()) + row.spent
            days[row.day] = days.get(row.day, Spent()) + row.spent
        return cls(
            total=total,
            by_model=tuple(
                ModelUsage(model=model, spent=spent) for model, spent in sorted(models.items(), key=_dearest_first)
            ),
            by_day=tuple(DayUsage(day=day, spent=spent) for day, spent in sorted(days.items())),
            budget=budget,
        )


def _dearest_first(entry: tuple[str, Spent]) -> tuple[Decimal, int, str]:
    model, spent = entry
    return -Decimal(spent.cost_usd), -spent.usage.total_tokens, model
