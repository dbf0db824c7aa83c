"""A session's account: what of its use no other part of the state tells, what it has lent, and what it was lent.

Part of ``actors.session.state``; ``actors.session.budgets`` reads it, ``fold_budgets`` changes it.
"""

from __future__ import annotations

from actors.domain.base import Frozen
from actors.domain.budgets import NOTHING, Amounts, Lease


class Account(Frozen):
    """What is counted from the records alone, so that nothing is counted twice whatever dies.

    Attributes:
        tool_calls: Those that began; another attempt of one is no other call.
        worked_us: Microseconds of work.
        raised: What people granted on top of the configured budget, since it was configured.
        unpriced: Models whose calls go on uncounted in money, since somebody agreed.
        leased: What children have, or had and did not give back.
        lease: What the session has of its parent's budget.
        lease_ended: What it did not use was given back; what its own children give back later goes on to its parent.
        returned: What it gave back so far.
    """

    tool_calls: int = 0
    worked_us: int = 0
    raised: Amounts = NOTHING
    unpriced: tuple[str, ...] = ()
    leased: Amounts = NOTHING
    lease: Lease | None = None
    lease_ended: bool = False
    returned: Amounts = NOTHING
