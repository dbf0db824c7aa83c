"""From the records of model calls to what they took, by day and model. Pure.

It reads of each record only what it adds up: a record can hold a long answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from pydantic_core import from_json

from actors.domain.budgets import dollars
from actors.domain.messages import TokenUsage
from actors.domain.usage import Spent, SpentOn

FAILED: Final = "model.call.failed"
CALLS: Final = ("model.call.completed", FAILED)
"""Types of the records that tell what a model call took."""


class Spending:
    """Adds up records of model calls."""

    def __init__(self) -> None:
        self._spent: dict[tuple[date, str], Spent] = {}

    def add(self, kind: str, at: datetime, body: bytes) -> None:
        """Take one record of such a type; an attempt that failed and took nothing counts as none.

        Raises:
            ValueError, TypeError, LookupError, AttributeError: It does not have the form that was written.
        """
        data: Mapping[str, Any] = from_json(body)["data"]
        usage = TokenUsage.model_validate(data.get("usage") or {})
        if kind == FAILED and not usage.total_tokens:
            return
        cost = data.get("cost_usd")
        one = Spent(calls=1, unpriced_calls=cost is None, usage=usage, cost_usd=format(dollars(cost or "0"), "f"))
        key = (at.date(), f"{data.get('provider', '')}/{data.get('model', '')}")
        self._spent[key] = self._spent.get(key, Spent()) + one

    @property
    def rows(self) -> tuple[SpentOn, ...]:
        """What was added up, in the order of the days."""
        return tuple(SpentOn(day=day, model=model, spent=self._spent[day, model]) for day, model in sorted(self._spent))
