"""What sessions tell each other. Whoever delivers their messages gives these commands, people never do."""

from __future__ import annotations

from typing import Literal

from actors.domain.budgets import Amounts
from actors.domain.children import ChildReport, Signal
from actors.domain.command import Command


class ReportChild(Command):
    """A child says what became of its task."""

    kind: Literal["report_child"] = "report_child"
    report: ChildReport


class ReturnLease(Command):
    """A child gives back what it did not use.

    Attributes:
        child_journal_id: Who gives back: a child, or one below a child that is gone.
        amounts: Less than nothing where it took more than it had.
    """

    kind: Literal["return_lease"] = "return_lease"
    child_journal_id: str
    amounts: Amounts


class SignalChild(Command):
    """A parent cancels, pauses or resumes.

    Attributes:
        task: The input that the child got from its parent.
    """

    kind: Literal["signal_child"] = "signal_child"
    signal: Signal
    task: str
