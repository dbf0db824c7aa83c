"""The events of a session and of all below it in one stream."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.children import ChildSpec
from actors.domain.events import Event, MessageDelta, TreeJoined
from actors.errors import InvalidRequest, SessionNotFound
from actors.handle import SessionHandle
from actors.manager import SessionManager
from actors.reading import tree_events
from tests.unit.local.runtimes import asking, calls, config, record_of, runtime, says

_ASKS = (calls(("ls", {})), says("Done."))


async def _read(handle: SessionHandle, until: Callable[[Event], bool], **options: Any) -> list[Event]:
    """The events of the tree up to one."""
    seen: list[Event] = []
    async with aclosing(handle.events(follow=True, tree=True, **options)) as events:  # pyright: ignore[reportArgumentType] - it is an async generator
        async for event in events:
            seen.append(event)
            if until(event):
                return seen
    raise AssertionError("a stream has no end")


def _is(kind: type[Any], session_id: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, kind) and event.session_id == session_id


def _places(events: list[Event]) -> dict[str, int]:
    """Where a reader of these stands."""
    return {event.session_id: event.seq for event in events if isinstance(event, TreeJoined | r.RecordBase)}  # pyright: ignore[reportAttributeAccessIssue] - records all


def _told(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.session_id, event.seq) for event in events if isinstance(event, r.RecordBase)]


async def _family(manager: SessionManager) -> SessionHandle:
    """A session whose child and grandchild wait for approvals."""
    root = await manager.create_session("root", asking(*_ASKS))
    for parent, name in (("root", "child"), ("child", "young")):
        spec = ChildSpec(prompt="go", session_id=name, config=asking(*_ASKS))
        await manager.spawn_many(parent, [spec])
        await record_of(await manager.get_session(name), r.ActionRequested)
    return root


async def test_a_reader_of_the_root_is_told_that_a_descendant_waits() -> None:
    async with runtime() as manager:
        root = await _family(manager)
        seen = await _read(root, _is(r.ActionRequested, "young"))
        joined = [(one.session_id, one.parent_id, one.seq) for one in seen if isinstance(one, TreeJoined)]
        assert joined == [("root", None, 0), ("child", "root", 0), ("young", "child", 0)]
        asked = [one for one in seen if isinstance(one, r.ActionRequested)]
        assert [one.session_id for one in asked] == ["child", "young"]
        for one in asked:
            await root.resolve_action(one.data.action_id, "approve")
        await _read(root, _is(r.ChildCompleted, "root"))


async def test_records_of_each_session_come_in_order_and_whole_behind_those_that_started_it() -> None:
    async with runtime() as manager:
        root = await _family(manager)
        seen = await _read(root, _is(r.ActionRequested, "young"))
        for name in ("root", "child", "young"):
            mine = [seq for session_id, seq in _told(seen) if session_id == name]
            assert mine == list(range(1, len(mine) + 1))
        started = next(place for place, one in enumerate(seen) if isinstance(one, r.ChildStarted))
        first = next(place for place, one in enumerate(seen) if one.session_id == "child")
        assert started < first


async def test_from_now_on_means_from_now_on_in_all_sessions_and_from_the_start_in_new_ones() -> None:
    async with runtime() as manager:
        root = await _family(manager)
        head = (await root.info()).head_seq
        (_, young) = await root.actions()
        await root.spawn_many([ChildSpec(prompt="hi", session_id="late", config=config(says("Hi.")))])
        await root.resolve_action(young.action_id, "reject")
        await record_of(await manager.get_session("late"), r.TurnCompleted)
        seen = await _read(root, _is(r.TurnCompleted, "late"), after=head)
        late = [seq for session_id, seq in _told(seen) if session_id == "late"]
        assert late[:2] == [1, 2]
        assert not [seq for session_id, seq in _told(seen) if session_id == "child" and seq < 3]


async def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice() -> None:
    async with runtime() as manager:
        root = await _family(manager)
        whole = await _read(root, _is(r.ActionRequested, "young"), deltas=False)
        for cut in range(1, len(whole)):
            before = whole[:cut]
            rest = await _read(root, _is(r.ActionRequested, "young"), after=_places(before), deltas=False)
            told = _told(before) + _told(rest)
            assert len(told) == len(set(told))
            mine = [[seq for name, seq in told if name == one] for one in ("root", "child", "young")]
            assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in mine)


async def test_the_answer_of_a_child_streams_word_by_word() -> None:
    async with runtime() as manager:
        root = await manager.create_session("root", config(says("x")))
        head = (await root.info()).head_seq
        step = {"text": "one two three", "token_delay_s": 0.02}
        await root.spawn_many([ChildSpec(prompt="go", session_id="child", config=config(step))])
        seen = await _read(root, _is(r.TurnCompleted, "child"), after=head)
        assert "".join(one.text for one in seen if isinstance(one, MessageDelta)) == "one two three"


async def test_children_of_a_forks_source_are_none_of_the_forks() -> None:
    async with runtime() as manager:
        await _family(manager)
        fork = await manager.fork_session("root", "fork")
        seen = await _read(fork, _is(r.SessionForked, "fork"))
        assert [one.session_id for one in seen if isinstance(one, TreeJoined)] == ["fork"]


async def test_a_stream_ends_with_its_first_session_and_not_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async with runtime() as manager:
        root = await _family(manager)

        async def destroying(event: Event) -> None:
            if _is(r.ActionRequested, "young")(event):
                await manager.destroy_session("young")
                await manager.destroy_session("root")

        with pytest.raises(SessionNotFound):
            async for event in root.events(follow=True, tree=True):
                await destroying(event)
        monkeypatch.setattr(tree_events, "MAX_FOLLOWED", 1)
        await manager.spawn_many("child", [ChildSpec(prompt="hi", session_id="another", config=config(says("Hi.")))])
        with pytest.raises(InvalidRequest, match="at most 1"):
            async for _ in (await manager.get_session("child")).events(follow=True, tree=True):
                pass


@pytest.mark.parametrize(
    "options",
    [{"tree": True}, {"after": {"s": 1}}, {"after": {"s": -1}, "tree": True, "follow": True}, {"after": -1}],
    ids=["not followed", "places without a tree", "no seq", "no seq of one"],
)
async def test_what_is_no_place_in_a_tree_is_refused(options: dict[str, Any]) -> None:
    async with runtime() as manager:
        one = await manager.create_session("s", config(says("x")))
        with pytest.raises(InvalidRequest):
            async for _ in one.events(**options):
                pass
