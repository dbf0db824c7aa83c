"""The forms of records and of the state are a promise to journals and snapshots that exist: golden files hold them.

A change of a record must leave older ones readable; a change of the state needs a new ``SNAPSHOT_VERSION`` once a
release has written the present one. Of each version there are the forms, and journals in which every record occurs;
those of version 1 are in the database that it wrote (``tests/unit/storage/golden``).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from actors.domain.records import RECORD, decode_record, encode_record
from actors.session.fold import fold
from actors.session.state import SNAPSHOT_VERSION, State, from_snapshot, initial
from tests.unit.session.samples import sample_journals

GOLDEN = Path(__file__).parent / "golden"
JOURNALS = GOLDEN / f"journals-{SNAPSHOT_VERSION}.jsonl"
UPDATE = "GREENROOM_TEST_UPDATE_GOLDEN" in os.environ
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
    if UPDATE:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(form, encoding="utf-8")

    assert golden.read_text(encoding="utf-8") == form


def _journals(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_record_there_is_has_a_sample() -> None:
    if UPDATE:
        JOURNALS.write_text("\n".join(sample_journals()) + "\n", encoding="utf-8")

    sampled = {record["type"] for journal in _journals(JOURNALS) for record in journal["records"]}
    assert sampled == set(RECORD.json_schema()["discriminator"]["mapping"])


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("journals-*.jsonl")), ids=lambda path: path.stem)
def test_journals_of_each_version_are_read_and_folded_to_what_they_were(path: Path) -> None:
    for journal in _journals(path):
        records = [decode_record(json.dumps(record).encode()) for record in journal["records"]]
        state = fold(initial(), records)

        if path == JOURNALS:
            assert [json.loads(encode_record(record)) for record in records] == journal["records"]
            assert state == from_snapshot(json.dumps(journal["state"]).encode())
