"""Messages on their way from the store to their receivers: again and again, and each applied once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.domain.children import Birth, ChildOutcome
from actors.domain.commands import COMMAND
from actors.domain.ids import new_ulid, utc_now
from actors.domain.journal import AppendPart, OutboxRow, StoredRecord
from actors.domain.letters import ReportChild
from actors.domain.messages import Message
from actors.domain.records import ChildCompleted, decode_record
from actors.domain.session import SessionState
from actors.errors import (
    GreenroomError,
    InternalError,
    InvalidRequest,
    NotHere,
    Overloaded,
    StoreUnavailable,
    TransportLost,
)
from actors.policy.warmth import SeatLimits
from actors.residency import delivery as module
from actors.residency.delivery import Delivery
from actors.residency.placement import ResidencyLimits
from actors.residency.residency import Residency
from actors.session.projection import new_session
from actors.session.surroundings import Surroundings
from actors.session_host import SessionHost
from tests.unit.runtime.parts import LIMIT_S, TENANT, FakeHosts, FakeSeat, GatedStore, NoSeats, create


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.001)


async def send(store: GatedStore, sender: str, *targets: str) -> None:
    """Let a session leave a message for each of these; senders are named as their journals are."""
    row = await store.row(TENANT, sender)
    assert row is not None
    acquired = await store.acquire(TENANT, sender, 0, 0) if row.epoch == 0 else None
    head, epoch = row.head_seq, acquired.epoch if acquired else row.epoch
    records = tuple(
        StoredRecord(head + place, "message.added", utc_now(), epoch, b"{}") for place in range(1, len(targets) + 1)
    )
    outbox = tuple(OutboxRow(head + place, target, b"%d" % place) for place, target in enumerate(targets, 1))
    await store.append(AppendPart(TENANT, sender, epoch, head, new_ulid(), records, row, outbox=outbox))


@asynccontextmanager
async def delivering(store: GatedStore, seat: FakeSeat) -> AsyncGenerator[Delivery]:
    residency = Residency(store, NoSeats(), 1, ResidencyLimits(seats=SeatLimits(per_seat=100), wait_s=5.0))
    residency.add_seat(seat)
    made = Delivery(store, residency)
    made.start()
    try:
        yield made
    finally:
        await made.close()
        await residency.close()


class PostOffice(GatedStore):
    """A memory store that tells when messages were delivered."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    async def delivered(self, letters: Sequence[tuple[str, str, int]]) -> None:
        await super().delivered(letters)
        self._news.set()

    async def until_empty(self, *receivers: str) -> None:
        """Wait until nothing waits any more, for these receivers or for any."""
        while [one for one in await self.receivers() if not receivers or one[1] in receivers]:
            await self._news.wait()
            self._news.clear()


@asynccontextmanager
async def post_office() -> AsyncGenerator[PostOffice]:
    async with asyncio.timeout(LIMIT_S), PostOffice() as store:
        yield store


async def test_what_was_left_before_is_delivered_in_the_order_of_its_sender() -> None:
    async with post_office() as store:
        await create(store, "a", "b", "r", "q")
        await send(store, "a", "r", "q", "r")
        await send(store, "b", "r")
        seat = FakeSeat("seat")
        async with delivering(store, seat):
            await store.until_empty()
        assert sorted(seat.delivered) == [("q", (b"2",)), ("r", (b"1", b"3", b"1"))]


async def test_a_hint_is_enough_and_a_message_left_while_others_are_handed_over_follows() -> None:
    async with post_office() as store:
        await create(store, "a", "r")
        seat = FakeSeat("seat")
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def slow(journal_id: str, letters: Sequence[bytes]) -> Any:
            reached.set()
            await go_on.wait()
            return [None] * len(letters)

        seat.delivering = slow
        async with delivering(store, seat) as made:
            listening = asyncio.create_task(_listen(store, made))
            await asyncio.sleep(0)
            await send(store, "a", "r")
            await reached.wait()
            await send(store, "a", "r")
            await asyncio.sleep(0)
            go_on.set()
            await store.until_empty()
            listening.cancel()
        assert [letters for _, letters in seat.delivered] == [(b"1",), (b"1",)]


async def _listen(store: GatedStore, made: Delivery) -> None:
    async for hints in store.hints():
        made.hear(hints)


@pytest.mark.parametrize("error", [TransportLost("seat"), NotHere("r", 0), StoreUnavailable("down"), ValueError("bug")])
async def test_a_receiver_that_cannot_take_its_messages_gets_them_again(error: Exception) -> None:
    async with post_office() as store:
        await create(store, "a", "r")
        await send(store, "a", "r")
        seat = FakeSeat("seat")

        async def fails_twice(journal_id: str, letters: Sequence[bytes]) -> Any:
            if len(seat.delivered) < 3:
                raise error
            return [None] * len(letters)

        seat.delivering = fails_twice
        async with delivering(store, seat):
            await store.until_empty()
        assert len(seat.delivered) == 3


async def test_a_receiver_for_which_there_is_no_room_stands_in_line_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with post_office() as store:
        await create(store, "a", "r")
        await send(store, "a", "r")
        seat = FakeSeat("seat")
        pauses: list[float] = []
        sleep = asyncio.sleep

        async def paused(delay: float) -> None:
            pauses.append(delay)
            await sleep(0)

        async def crowded(journal_id: str, letters: Sequence[bytes]) -> Any:
            if len(seat.delivered) < 6:
                raise Overloaded("all session actors are busy", 5.0)
            return [None] * len(letters)

        seat.delivering = crowded
        monkeypatch.setattr(module.asyncio, "sleep", paused)
        async with delivering(store, seat):
            await store.until_empty()
        assert pauses == [module.RETRY_FIRST_S] * 5


async def test_one_receiver_that_never_takes_its_messages_holds_nobody_up() -> None:
    async with post_office() as store:
        await create(store, "a", "bad", "good")
        await send(store, "a", "bad", "good")
        seat = FakeSeat("seat")

        async def bad(journal_id: str, letters: Sequence[bytes]) -> Any:
            if journal_id == "bad":
                raise TransportLost("seat")
            return [None] * len(letters)

        seat.delivering = bad
        async with delivering(store, seat):
            await store.until_empty("good")
            assert await store.letters(TENANT, "bad")


@pytest.mark.parametrize("passing", [StoreUnavailable("later"), InternalError("KeyError")])
async def test_a_message_that_is_refused_for_good_is_dropped_and_those_behind_it_are_not(
    passing: GreenroomError,
) -> None:
    async with post_office() as store:
        await create(store, "a", "r")
        await send(store, "a", "r", "r", "r")
        seat = FakeSeat("seat")

        async def one_bad(journal_id: str, letters: Sequence[bytes]) -> Any:
            outcomes: list[GreenroomError | None] = [None] * len(letters)
            outcomes[0] = InvalidRequest("no")
            if len(letters) == 3:
                outcomes[1] = passing
            return outcomes

        seat.delivering = one_bad
        async with delivering(store, seat):
            await store.until_empty()
        assert [len(letters) for _, letters in seat.delivered] == [3, 1]


async def test_messages_for_nobody_are_forgotten() -> None:
    async with post_office() as store:
        await create(store, "a")
        await send(store, "a", "nobody")
        seat = FakeSeat("seat")

        async def gone(journal_id: str, number: int) -> None:
            await store.acquire(TENANT, journal_id, 1, number)

        seat.assigning = gone
        async with delivering(store, seat):
            await store.until_empty()
        assert seat.delivered == []


# --- each is applied once --------------------------------------------------------------------------------------------


async def _born(store: GatedStore) -> bytes:
    """A parent and, destroyed before its answer, a child; what the child tells."""
    await create(store, "p")
    parent = await store.row(TENANT, "p")
    birth = Birth(task=Message.user("x"))
    child = new_session(TENANT, "c", "c", birth.config, now=utc_now(), cause="p:2", parent=parent, task=birth.task)
    await store.create(TENANT, new_ulid(), "d", [child])
    await store.destroy(TENANT, "c", new_ulid(), "d")
    (letter,) = await store.letters(TENANT, "p")
    return letter.body


async def test_a_message_that_comes_twice_is_applied_once_over_crashes_and_new_activations() -> None:
    async with post_office() as store:
        body = await _born(store)
        told = COMMAND.validate_json(body)
        assert isinstance(told, ReportChild)
        for number in (1, 2, 3):
            host = SessionHost(store, FakeHosts(), Surroundings())
            await host.assign(TENANT, "p", 0, number)
            assert await host.deliver("p", number, [body, body]) == [None, None]
            assert await host.deliver("p", number, [body]) == [None]
            with pytest.raises(NotHere):
                await host.deliver("p", number + 7, [body])
            await host.close()
        records = [decode_record(one.body) for one in await store.records(TENANT, "p")]
        applied = [one for one in records if isinstance(one, ChildCompleted)]
        assert [(one.cause, one.data.outcome) for one in applied] == [("c:3", ChildOutcome.cancelled)]


async def test_a_message_is_applied_once_beside_new_ones_of_the_same_delivery() -> None:
    async with post_office() as store:
        body = await _born(store)
        told = COMMAND.validate_json(body)
        other = told.model_copy(update={"command_id": "d:9"}).model_dump_json().encode()
        host = SessionHost(store, FakeHosts(), Surroundings())
        await host.assign(TENANT, "p", 0, 1)
        await host.deliver("p", 1, [body])
        await host.close()
        again = SessionHost(store, FakeHosts(), Surroundings())
        await again.assign(TENANT, "p", 0, 2)
        assert await again.deliver("p", 2, [body, other]) == [None, None]
        await again.close()
        causes = [one.cause for one in await store.records(TENANT, "p") if one.type == "child.completed"]
        assert causes == ["c:3", "d:9"]


async def test_a_message_that_nobody_understands_does_not_stand_in_the_way_of_the_others() -> None:
    async with post_office() as store:
        body = await _born(store)
        host = SessionHost(store, FakeHosts(), Surroundings())
        await host.assign(TENANT, "p", 0, 1)
        poison, good = await host.deliver("p", 1, [b'{"kind": "from the future"}', body])
        assert isinstance(poison, InvalidRequest)
        assert good is None
        await host.close()


async def test_a_session_in_error_that_failed_is_left_alone_until_it_is_put_back() -> None:
    async with post_office() as store:
        await create(store, "a", "r")
        await send(store, "a", "r")
        seat = FakeSeat("seat")
        asked = asyncio.Event()
        row = await store.row(TENANT, "r")
        assert row is not None
        broken = row.model_copy(update={"state": SessionState.error})

        async def fails(journal_id: str, letters: Sequence[bytes]) -> Any:
            raise TransportLost("seat")

        async def told_of(tenant: str, journal_id: str) -> Any:
            asked.set()
            return broken

        seat.delivering = fails
        store.row = told_of
        async with delivering(store, seat):
            await asked.wait()
            asked.clear()
            await asked.wait()
            assert len(seat.delivered) == 1
            seat.delivering = None
            del store.row
            await store.until_empty()
