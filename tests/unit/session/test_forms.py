"""The forms of records and of the state are a promise to journals and snapshots that exist: golden files hold them.

A change of a record must leave older ones readable; a change of the state needs a new ``SNAPSHOT_VERSION`` once a
release has written the present one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from actors.domain.records import RECORD
from actors.session.state import SNAPSHOT_VERSION, State

GOLDEN = Path(__file__).parent / "golden"
_FOR_PEOPLE = frozenset({"description", "title"})
FORMS: dict[str, Any] = {
    "records": RECORD.json_schema,
    f"state-{SNAPSHOT_VERSION}": State.model_json_schema,
}


def bare(value: Any) -> Any:
    """A schema without what is only there for people."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        return {key: bare(one) for key, one in entries.items() if key not in _FOR_PEOPLE or not isinstance(one, str)}
    return [bare(one) for one in cast("list[Any]", value)] if isinstance(value, list) else value


@pytest.mark.parametrize("name", FORMS)
def test_the_form_is_the_one_in_the_golden_file(name: str) -> None:
    form = json.dumps(bare(FORMS[name](mode="serialization")), indent=1, sort_keys=True) + "\n"
    golden = GOLDEN / f"{name}.json"
    if "GREENROOM_TEST_UPDATE_GOLDEN" in os.environ:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(form, encoding="utf-8")

    assert golden.read_text(encoding="utf-8") == form
