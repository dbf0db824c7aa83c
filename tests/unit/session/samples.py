"""Journals in which every record occurs, for the golden files of this version: journeys, and what those lack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from actors.domain import records as r
from actors.domain.messages import TokenUsage
from actors.domain.workspaces import Workspace
from actors.session.projection import place
from actors.session.state import State, to_snapshot
from tests.unit.session.steps import LONGEST, journey
from tests.unit.session.world import START

_JOURNEYS = 500
"""Among so many there is every record that a session writes by itself."""


_SHORT = 2000
"""Bytes: shorter journals are not worth more for it."""


def _elsewhere() -> tuple[r.Draft, ...]:
    """Records that come from outside of a session."""
    forked = r.SessionForked.Data(
        journal_id="F", source_journal_id="J", source_session_id="s", name="s (fork)", cost_usd="0.01"
    )
    imported = r.SessionImported.Data(origin="a document", usage=TokenUsage(total_tokens=3), context_used=3)
    bound = Workspace(node="n1", path="/work", shared=False)
    return (
        r.Draft(r.SessionForked, forked),
        r.Draft(r.SessionImported, imported),
        r.Draft(r.WorkspaceBound, bound),
    )


def _journals() -> Iterator[tuple[list[r.Record], State]]:
    first = journey(Random(0), 0)
    state, records = first.state, first.records
    for draft in _elsewhere():
        state, record = place(state, draft, now=START, epoch=1)
        records.append(record)
    yield records, state
    for seed in range(_JOURNEYS):
        world = journey(Random(seed), LONGEST, rough=seed % 2 == 0, child=seed % 4 > 1)
        yield world.records, world.state


def sample_journals() -> list[str]:
    """Few and short journals, as lines of JSON: their records and the state that these fold to."""
    journals = list(_journals())
    kinds = [{record.type for record in records} for records, _ in journals]
    sizes = [_SHORT + sum(len(r.encode_record(record)) for record in records) for records, _ in journals]
    missing = set[str]().union(*kinds)
    lines: list[str] = []
    while missing:
        best = max(range(len(journals)), key=lambda index: len(kinds[index] & missing) / sizes[index])
        records, state = journals[best]
        missing -= kinds[best]
        plain = [json.loads(r.encode_record(record)) for record in records]
        state = state.model_copy(update={"epoch": records[-1].epoch})
        lines.append(json.dumps({"records": plain, "state": json.loads(to_snapshot(state))}, sort_keys=True))
    return lines
