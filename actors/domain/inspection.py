"""What a security provider of one's own is, and what it says of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import Field

from actors.domain.base import Frozen

Label = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Z][A-Z0-9_]*$")]
"""What is read in the place of a text that is withheld: ``[REDACTED:LABEL]``."""

MAX_FINDINGS = 10_000
"""Places in one text; more is a provider that withholds every word."""


class Finding(Frozen):
    """A place in a text that is withheld.

    Attributes:
        start, end: Its characters, from ``start`` up to and without ``end``.
        personal: It only tells of a person, and opens no door: arguments of tools may have it in them.
    """

    start: int = Field(ge=0)
    end: int = Field(ge=1)
    label: Label
    personal: bool = False


class Inspection(Frozen):
    """What a provider found in a text.

    Attributes:
        findings: What is withheld of it, in any order.
        orders: Kinds of orders to the model, as labels of one's own; asked of the results of tools only.
    """

    findings: tuple[Finding, ...] = Field(default=(), max_length=MAX_FINDINGS)
    orders: tuple[Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z][a-z0-9_]*$")], ...] = Field(
        default=(), max_length=16
    )


class SecurityProvider(Protocol):
    """Looks through all texts of the sessions that name it, besides what Greenroom does by itself.

    A class without arguments, named by its import string. It is loaded in a process of its own, without the secrets of
    the service's environment, and asked for one text at a time. The same text should get the same answer. One that
    raises, takes longer than its time or answers nonsense is taken for one that has found everything: the text is not
    shown.
    """

    def inspect(self, text: str) -> Inspection:
        """What is in a text."""
        ...


def merged(findings: Sequence[Finding]) -> list[Finding]:
    """The same places in their order, those that overlap as one; it opens a door if one of them does."""
    found: list[Finding] = []
    for one in sorted(findings, key=lambda finding: (finding.start, -finding.end)):
        if found and one.start < found[-1].end:
            last = found[-1]
            changes = {"end": max(last.end, one.end), "personal": last.personal and one.personal}
            found[-1] = last.model_copy(update=changes)
        else:
            found.append(one)
    return found
