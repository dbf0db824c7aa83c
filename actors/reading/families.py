"""Sessions below a session, as the projection tells. Only the store is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from decimal import Decimal

from actors.domain.base import Frozen
from actors.domain.journal import Filter
from actors.domain.messages import TokenUsage
from actors.domain.session import SessionInfo
from actors.errors import InvalidRequest
from actors.session.ports import Store

MAX_TREE = 10_000
"""Sessions of one tree: an answer of some megabytes."""


class SessionTree(Frozen):
    """A session and those below it.

    Attributes:
        children: Oldest first.
        sessions: How many there are, this one included.
        usage: Tokens of all of them together, without those that a fork has from its source, where they are counted.
        cost_usd: The price of these as a decimal string.
    """

    session: SessionInfo
    children: tuple[SessionTree, ...] = ()
    sessions: int = 1
    usage: TokenUsage = TokenUsage()
    cost_usd: str = "0"


async def children_of(store: Store, parent: SessionInfo) -> AsyncGenerator[SessionInfo]:
    """The rows of a session's children, in no order."""
    cursor: str | None = None
    while True:
        wanted = Filter(parent_journal_id=parent.journal_id)
        rows, cursor = await store.rows(parent.tenant, wanted, after=cursor, limit=1000)
        for row in rows:
            yield row
        if cursor is None:
            return


async def tree_of(store: Store, top: SessionInfo) -> SessionTree:
    """The tree below a session.

    Raises:
        InvalidRequest: it has more than 10,000 sessions.
    """
    below: dict[str, list[SessionInfo]] = {}
    rows = [top]
    for row in rows:
        children = [child async for child in children_of(store, row)]
        below[row.journal_id] = sorted(children, key=lambda child: (child.created_at, child.journal_id))
        rows += below[row.journal_id]
        if len(rows) > MAX_TREE:
            raise InvalidRequest(f"The tree has more than {MAX_TREE} sessions. Ask for one below it.")
    trees: dict[str, SessionTree] = {}
    for row in reversed(rows):
        trees[row.journal_id] = _joined(row, tuple(trees.pop(child.journal_id) for child in below[row.journal_id]))
    return trees[top.journal_id]


def _joined(row: SessionInfo, children: tuple[SessionTree, ...]) -> SessionTree:
    usage, cost = row.usage - row.inherited_usage, Decimal(row.cost_usd) - Decimal(row.inherited_cost_usd)
    for child in children:
        usage += child.usage
        cost += Decimal(child.cost_usd)
    sessions = 1 + sum(child.sessions for child in children)
    return SessionTree(session=row, children=children, sessions=sessions, usage=usage, cost_usd=str(cost))
