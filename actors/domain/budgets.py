"""What a session may take, and what it has taken: tokens, money, tool calls and working time.

Two kinds of values: ``Bounds`` bound some of them, or say how much there is; ``Amounts`` are so much of each. A
``Budget`` is bounds that somebody gives, and is checked. What is worked out from it is written down whatever it came
to, and read back. Sums are exact: money is decimal, time is whole milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer

from actors.domain.base import Frozen

MAX_AMOUNT = 10**12
"""Upper end of every bound, with all that is granted on top: more tokens than all models give in a year, and still
exact in every JSON reader."""

MAX_DIGITS = 64
"""Of a price that somebody tells: sums of them are written out, and an exponent could ask for millions of zeros."""


class Resource(StrEnum):
    """What is counted; each is a field of ``Budget`` and of ``Amounts``."""

    tokens = "tokens"
    usd = "usd"
    tool_calls = "tool_calls"
    wall_s = "wall_s"


def dollars(text: str) -> Decimal:
    """The price of calls that somebody tells.

    Raises:
        ValueError: it is no number from 0 to ``MAX_AMOUNT``, or has more than ``MAX_DIGITS`` digits.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("no decimal number") from None
    # Zero has an exponent too.
    long = len(text) > MAX_DIGITS or value.adjusted() < -MAX_DIGITS
    if long or not value.is_finite() or not 0 <= value <= MAX_AMOUNT:
        raise ValueError(f"no number from 0 to {MAX_AMOUNT} of at most {MAX_DIGITS} digits")
    return value


def _plain(value: Decimal) -> str:
    return format(value, "f")


def _milliseconds(value: float) -> float:
    return round(value, 3)


Usd = Annotated[Decimal, PlainSerializer(_plain, return_type=str, when_used="json")]
"""US dollars: a number or a decimal string; in JSON the latter."""

Seconds = Annotated[float, AfterValidator(_milliseconds)]
"""Seconds, to the millisecond."""


class Bounds(Frozen):
    """So much of some of them, as it was worked out; None does not bound.

    Attributes:
        tokens: Of all model calls, prompts and answers, summaries included.
        usd: The price of these in US dollars.
        tool_calls: Calls that begin; one that is repeated after a crash counts once.
        wall_s: Seconds of work: from the start of a turn to its end, without the time that it waits for people,
            children, workers and timers, or is paused.
    """

    # A budget that stands where bounds belong becomes plain ones, as it would be read back.
    model_config = ConfigDict(revalidate_instances="subclass-instances")

    tokens: int | None = None
    usd: Usd | None = None
    tool_calls: int | None = None
    wall_s: Seconds | None = None

    @property
    def bounds(self) -> dict[Resource, Decimal]:
        """What is bounded, and by how much."""
        values = ((resource, getattr(self, resource)) for resource in Resource)
        return {resource: _exact(value) for resource, value in values if value is not None}

    @classmethod
    def of(cls, bounds: Mapping[Resource, Decimal]) -> Self:
        """So much of these; what is less than nothing is nothing."""
        fields: dict[str, Any] = {one.value: _as_field(one, max(value, Decimal(0))) for one, value in bounds.items()}
        return cls(**fields)


class Budget(Bounds):
    """Bounds of what a session takes in its life, as somebody gives them.

    At most ``MAX_AMOUNT`` of each, and money to 12 decimal places.
    """

    tokens: int | None = Field(default=None, ge=0, le=MAX_AMOUNT)
    usd: Usd | None = Field(default=None, ge=0, le=MAX_AMOUNT, max_digits=24, decimal_places=12)
    tool_calls: int | None = Field(default=None, ge=0, le=MAX_AMOUNT)
    wall_s: Seconds | None = Field(default=None, ge=0, le=MAX_AMOUNT, allow_inf_nan=False)


class Amounts(Frozen):
    """So much of each. Less than nothing where a last call took more than there was."""

    tokens: int = 0
    usd: Usd = Decimal(0)
    tool_calls: int = 0
    wall_s: Seconds = 0.0

    @property
    def each(self) -> dict[Resource, Decimal]:
        """All of them as exact numbers."""
        return {resource: _exact(getattr(self, resource)) for resource in Resource}

    @classmethod
    def of(cls, values: Mapping[Resource, Decimal]) -> Self:
        """So much of these, and nothing of the others."""
        fields: dict[str, Any] = {one.value: _as_field(one, value) for one, value in values.items()}
        return cls.model_construct(**fields)

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts.of({one: value + other.each[one] for one, value in self.each.items()})

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts.of({one: value - other.each[one] for one, value in self.each.items()})


NOTHING = Amounts()


def _exact(value: Decimal | float) -> Decimal:
    return Decimal(str(value))


def _as_field(resource: Resource, value: Decimal) -> int | float | Decimal:
    if resource is Resource.usd:
        return value
    return round(float(value), 3) if resource is Resource.wall_s else int(value)


class Lease(Frozen):
    """What a session has of its parent's budget.

    Attributes:
        amounts: How much it got; what is None there was not bounded.
        lenders: Journals of those above it, its parent first: what it does not use goes back to the first that is left.
        unpriced: Models whose calls are not counted in money, since somebody agreed to that above.
        for_task: It is lent for one task, and ends with it; else with the session.
    """

    amounts: Bounds
    lenders: tuple[str, ...]
    unpriced: tuple[str, ...] = ()
    for_task: bool = False


class BudgetStanding(Frozen):
    """How a session stands with its budget.

    Attributes:
        budget: What is in force, with what people granted on top.
        raised: What of it people granted when the session asked.
        unpriced: Models whose calls are not counted in money: nobody knows their price, and somebody agreed.
        used: What the session took itself.
        leased: What its children have, or had and did not give back.
        returned: What it gave back to its parent.
        remaining: What it may still take. Nothing, where a last call took more than there was.
        lease: What it has of its parent's budget.
        due: What would go back to the parent if it ended now; None when nothing is owed.
    """

    budget: Bounds = Bounds()
    raised: Amounts = NOTHING
    unpriced: tuple[str, ...] = ()
    used: Amounts = NOTHING
    leased: Amounts = NOTHING
    returned: Amounts = NOTHING
    remaining: Bounds = Bounds()
    lease: Lease | None = None
    due: Amounts | None = None
