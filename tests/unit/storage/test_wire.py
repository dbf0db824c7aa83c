"""The plain forms of the store's values: through msgpack and back, nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.domain.actions import Resolution
from actors.domain.journal import (
    Acquired,
    Appended,
    Filter,
    FirstOutcome,
    NewSession,
    Refused,
    Snapshot,
    StoredResult,
    StoreIdentity,
)
from actors.errors import Fenced, InternalError, SessionExists
from actors.session.ports import Loaded
from actors.storage import wire
from actors.storage.moments import micros, moment
from actors.storage.watch import Hint
from tests.unit.storage.loopback import travelled
from tests.unit.storage.samples import TENANT, action, at, full_info, letter, new, outbox, part, record

MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]))


@given(MOMENTS)
def test_a_moment_survives_to_the_microsecond(when: datetime) -> None:
    assert moment(micros(when)) == when
    assert wire.info_in(travelled(wire.info_out(full_info("s").model_copy(update={"wake_at": when})))).wake_at == when


@given(st.integers(-(2**52), 2**52), st.integers(-(2**52), 2**52))
def test_moments_sort_as_their_numbers_do(one: int, other: int) -> None:
    assert (moment(one) < moment(other)) == (one < other)


VALUES: list[tuple[Callable[[Any], Any], Callable[[Any], Any], Any]] = [
    (wire.record_out, wire.record_in, record(7, cause="c", digest="d")),
    (wire.record_out, wire.record_in, record(7)),
    (wire.info_out, wire.info_in, full_info("s")),
    (wire.action_out, wire.action_in, action("a", 1.000001, Resolution.reject)),
    (wire.outbox_out, wire.outbox_in, outbox(3, blobs=("ff",))),
    (wire.letter_out, wire.letter_in, letter(3)),
    (wire.new_out, wire.new_in, NewSession(full_info("s"), (record(1), record(2)), {"ff": b"x"})),
    (wire.part_out, wire.part_in, part("s", 3)),
    (
        wire.part_out,
        wire.part_in,
        part(
            "s",
            3,
            command="c",
            actions=(action("a"),),
            outbox=(outbox(4),),
            creations=(new("k"),),
            blobs={"f": b"\xff"},
        ),
    ),
    (wire.answer_out, wire.answer_in, Appended(5, True)),
    (wire.acquired_out, wire.acquired_in, Acquired(2, 9)),
    (wire.identity_out, wire.identity_in, StoreIdentity("01", 1, "memory:", "5ec3e7")),
    (wire.filter_out, wire.filter_in, Filter("active", "idle", "J", True, "x")),
    (wire.filter_out, wire.filter_in, Filter()),
    (wire.outcome_out, wire.outcome_in, FirstOutcome(1, "d", "user.message")),
    (wire.snapshot_out, wire.snapshot_in, Snapshot(9, 1, 2, b"\x00")),
    (wire.loaded_out, wire.loaded_in, Loaded(None, (), kept=7)),
    (wire.loaded_out, wire.loaded_in, Loaded(Snapshot(9, 1, 2, b"{}"), (record(10), record(11)))),
    (wire.result_out, wire.result_in, StoredResult("c", 2, b"{}")),
    (wire.hint_out, wire.hint_in, Hint(TENANT, "J", True, at(0.000001), ("P", "Q"))),
    (wire.hint_out, wire.hint_in, Hint(TENANT, "J", False)),
]


@pytest.mark.parametrize(("out", "back", "value"), VALUES)
def test_a_value_arrives_as_it_was_sent(out: Callable[[Any], Any], back: Callable[[Any], Any], value: Any) -> None:
    assert back(travelled(out(value))) == value


@pytest.mark.parametrize("error", [Fenced("J", 1, 2), SessionExists(["a", "b"]), InternalError("x")])
def test_a_refusal_arrives_with_its_error(error: Any) -> None:
    answer = wire.answer_in(travelled(wire.answer_out(Refused(error))))

    assert isinstance(answer, Refused)
    assert (type(answer.error), str(answer.error)) == (type(error), str(error))
