"""Children with tasks, in a runtime without Ray: started by drivers and by models, answered, lost, waited for."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any

import pytest

from actors import local
from actors.domain import records as r
from actors.domain.calls import Outcome
from actors.domain.children import ChildOutcome, ChildSpec
from actors.domain.session import Activity, SessionConfig
from actors.errors import (
    ChildrenPending,
    InvalidRequest,
    InvalidSessionId,
    SessionExists,
    SessionNotFound,
    TurnPending,
)
from actors.handle import SessionHandle
from actors.manager import SessionManager
from actors.session_host import SessionHost
from actors.tools.base import ToolContext
from actors.tools.function import tool
from tests.unit.local.runtimes import asking, config, record_of, records, result_texts, results, runtime, types

MODEL = "scripted/prompt"
"""Does what its prompt says, so that parents and children of one runtime can do different things."""


def spawn(*tasks: str, **values: Any) -> str:
    """A prompt line that makes the model call ``spawn_children``."""
    return f"/tool spawn_children {json.dumps({'tasks': tasks, **values})}"


def lines(*given: str) -> str:
    return "\n".join(given)


class Held:
    """A tool whose calls wait until they are let go, one by one."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Semaphore(0)

        @tool(name="hold", effect="pure")
        async def hold(ctx: ToolContext) -> str:
            """Wait."""
            self.begun.set()
            await self.go.acquire()
            return "held"

        self.tool = hold


HOLD = "/tool hold {}\n/say let go"


async def until_idle(session: SessionHandle) -> None:
    await record_of(session, r.TurnCompleted)


# --- from drivers ----------------------------------------------------------------------------------------------------


async def test_children_are_started_by_themselves_and_their_answers_come_in_the_order_of_their_tasks() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        given = [ChildSpec(prompt="/say one", session_id="c1", config=SessionConfig(name="First")), "/say two"]
        children = await manager.spawn_many("p", given)

        first, second = await manager.wait_children("p")

        assert [child.session_id for child in children] == [first.child_id, second.child_id]
        assert (first.child_id, first.outcome, first.text) == ("c1", ChildOutcome.completed, "one")
        assert second.text == "two"
        assert first.usage.total_tokens > 0
        assert await manager.get_child_sessions("p") == [first.child_id, second.child_id]
        assert (await children[0].info()).name == "First"
        assert (await children[0].info()).task is None, "nothing is owed any more"
        assert [message.text for message in await children[1].history()] == ["/say two", "two"]
        assert await manager.child_results("p") == (first, second)
        assert (await parent.history()) == ()


async def test_waiting_for_the_first_gives_the_same_answer_however_often_it_is_asked() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        await manager.create_session("p", config())
        await manager.spawn_many("p", [ChildSpec(prompt=HOLD, session_id="slow"), ChildSpec(prompt="/say quick")])

        (first,) = await manager.wait_children("p", "first")
        assert first.text == "quick"
        with pytest.raises(ChildrenPending) as pending:
            await manager.wait_children("p", timeout=0)
        assert (pending.value.answered, pending.value.wanted) == (1, 2)
        assert [one.outcome for one in await manager.child_results("p")] == [None, ChildOutcome.completed]

        held.go.release()
        assert [one.text for one in await manager.wait_children("p", 2)] == ["let go", "quick"]
        assert await manager.wait_children("p", "first") == (first,)
        assert [one.text for one in await manager.wait_children("p", children=["slow"])] == ["let go"]


async def test_waiting_for_children_activates_nobody_and_ends_with_the_parent() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        await manager.spawn_many("p", [HOLD])
        assert await parent.hibernate()

        waiting = asyncio.create_task(manager.wait_children("p"))
        await held.begun.wait()
        assert await parent.resolve() is parent
        assert parent.residency is None
        await manager.destroy_session("p")

        with pytest.raises(SessionNotFound):
            await waiting
        held.go.release()


@pytest.mark.parametrize(
    ("mode", "children"), [(0, None), (3, None), ("some", None), (True, ["nobody"]), ("all", ["p"]), ("all", ["idle"])]
)
async def test_waiting_for_what_cannot_come_is_refused(mode: Any, children: list[str] | None) -> None:
    async with runtime(llm=MODEL) as manager:
        await manager.create_session("p", config())
        await manager.create_child_session("p", "idle")
        await manager.spawn_many("p", ["/say one", "/say two"])
        with pytest.raises(InvalidRequest):
            await manager.wait_children("p", mode, children=children)


async def test_a_session_without_children_has_answered_for_all_of_them() -> None:
    async with runtime(llm=MODEL) as manager:
        await manager.create_session("p", config())
        assert await manager.wait_children("p") == ()


async def test_of_children_some_of_whose_ids_are_in_use_none_is_started() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        await manager.create_sessions(["a", "b"], config())
        wanted = [ChildSpec(prompt="/say x", session_id=name) for name in ("new", "a", "B")]
        with pytest.raises(SessionExists) as refused:
            await manager.spawn_many("p", wanted)
        assert set(refused.value.session_ids) == {"a", "B"}
        assert await manager.get_child_sessions("p") == []
        assert await records(parent, r.ChildStarted) == []
        assert (await parent.generate("/say still here")).text == "still here"


@pytest.mark.parametrize(
    ("specs", "error"),
    [
        ([], InvalidRequest),
        (["x"] * 1001, InvalidRequest),
        ([" "], InvalidRequest),
        ([ChildSpec(prompt="x", session_id="a/b")], InvalidSessionId),
        ([ChildSpec(prompt="x", session_id="a"), ChildSpec(prompt="x", session_id="A")], InvalidRequest),
        (["x" * (4 * 1024 * 1024)] * 4, InvalidRequest),
    ],
)
async def test_specifications_that_cannot_be_carried_out_are_refused(specs: list[Any], error: type[Exception]) -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        with pytest.raises(error):
            await manager.spawn_many("p", specs)
        assert await types(parent) == ["session.created"]


async def test_the_same_command_starts_children_once() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        first = await manager.spawn_many("p", ["/say one"], command_id="order-1")
        again = await manager.spawn_many("p", ["/say one"], command_id="order-1")
        assert [child.journal_id for child in first] == [child.journal_id for child in again]
        assert len(await records(parent, r.ChildStarted)) == 1


async def test_a_child_that_fails_is_cancelled_or_withdraws_its_task_is_an_answer_too() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        fails = SessionConfig(model="scripted/script")
        specs = [ChildSpec(prompt="x", session_id="fails", config=fails), ChildSpec(prompt=HOLD, session_id="cut")]
        await manager.spawn_many("p", specs)
        await held.begun.wait()
        await manager.cancel_operation("cut")

        failed, cut = await manager.wait_children("p")

        assert (failed.outcome, failed.code) == (ChildOutcome.failed, "ModelRejected")
        assert failed.error
        assert (cut.outcome, cut.code, cut.error) == (ChildOutcome.cancelled, "cancelled", "cancelled by request")
        assert len(await records(parent, r.ChildCompleted)) == 2


async def test_a_child_that_is_destroyed_before_it_answers_is_an_answer() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        await manager.create_session("p", config())
        await manager.spawn_many("p", [ChildSpec(prompt=HOLD, session_id="c")])
        await held.begun.wait()
        await manager.destroy_session("c")
        (result,) = await manager.wait_children("p")
        assert (result.child_id, result.outcome, result.code) == ("c", ChildOutcome.cancelled, "destroyed")


async def test_the_answer_of_a_child_that_was_destroyed_after_it_is_not_lost() -> None:
    async with runtime(llm=MODEL) as manager:
        await manager.create_session("p", config())
        (child,) = await manager.spawn_many("p", ["/say kept " + "x" * 40_000])
        await until_idle(child)
        await manager.destroy_session(child.session_id)
        (result,) = await manager.wait_children("p")
        assert result.text.startswith("kept xxx")
        assert len(result.text) > 40_000


async def test_children_outlive_their_parent() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        await manager.create_session("p", config())
        (child,) = await manager.spawn_many("p", [HOLD])
        await held.begun.wait()
        await manager.destroy_session("p")
        held.go.release()
        assert (await record_of(child, r.TurnCompleted)).data.text == "let go"


# --- from models -----------------------------------------------------------------------------------------------------


async def test_a_turn_waits_for_its_children_without_a_process_and_goes_on_with_their_answers() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        asked = asyncio.create_task(parent.generate(lines(spawn("/say one", HOLD), "/say Done.")))
        await held.begun.wait()
        await record_of(parent, r.ChildCompleted)

        info = await parent.info()
        assert info.activity is Activity.waiting
        assert not info.needs_actor
        assert info.wake_at is None, "the turn's own time stands still"
        assert await parent.hibernate()
        assert (await parent.resolve()).residency is None

        held.go.release()
        result = await asked
        assert result.text == "Done."
        (text,) = result_texts(result.messages)
        first, second = text.split("\n\n")
        assert first.startswith("## Task 1: completed (p-")
        assert first.endswith("\none")
        assert second.endswith("\nlet go")


async def test_a_turn_that_waits_for_the_first_goes_on_while_the_others_work() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        result = await parent.generate(lines(spawn(HOLD, "/say quick", wait="first"), "/say Done."))
        (text,) = result_texts(result.messages)
        assert text == f"## Task 1: not waited for\n\n\n## Task 2: completed ({(await _ids(manager))[1]})\nquick"
        held.go.release()
        assert [one.text for one in await manager.wait_children("p")] == ["let go", "quick"]


async def _ids(manager: SessionManager) -> list[str]:
    return await manager.get_child_sessions("p")


async def test_children_start_children_of_their_own() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        inner = lines(spawn("/say deep", "/say deeper"), "/say middle")
        result = await parent.generate(lines(spawn(inner, "/say flat"), "/say Done."))
        assert result.text == "Done."
        assert result_texts(result.messages)[0].count("completed") == 2
        middle = (await _ids(manager))[0]
        assert [one.text for one in await manager.wait_children(middle)] == ["deep", "deeper"]


async def test_a_call_all_of_whose_children_fail_is_an_error_and_one_of_whose_succeeds_is_not() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        bad = "/tool nosuch {}\n" * 60
        result = await parent.generate(lines(spawn(bad), spawn(bad, "/say fine"), "/say Done."))
        assert [block.is_error for block in results(result.messages)] == [True, False]
        assert "Error (" in result_texts(result.messages)[0]


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("spawn_children", {"tasks": []}, "tasks"),
        ("spawn_children", {"tasks": [" "]}, "tasks"),
        ("spawn_children", {"tasks": ["x"] * 65}, "tasks"),
        ("spawn_children", {"tasks": ["x"], "wait": 2}, "wait"),
        ("spawn_children", {"tasks": ["x"], "wait": 0}, "wait"),
        ("spawn_children", {"tasks": ["x"], "wait": "some"}, "wait"),
        ("spawn_children", {"tasks": ["x"], "more": 1}, "more"),
        ("sleep", {"seconds": 0}, "seconds"),
        ("sleep", {"seconds": 1e9}, "seconds"),
        ("sleep", {}, "seconds"),
    ],
)
async def test_arguments_that_do_not_fit_are_told_to_the_model(name: str, args: dict[str, Any], says: str) -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        result = await parent.generate(lines(f"/tool {name} {json.dumps(args)}", "/say Done."))
        assert result.text == "Done."
        (text,) = result_texts(result.messages)
        assert text.startswith(f"Error: {says}")
        (denied,) = await records(parent, r.ToolCallDenied)
        assert denied.data.code == "invalid_args"
        assert await _ids(manager) == []


async def test_a_cancelled_wait_has_its_outcome_at_once_and_its_children_are_told_to_stop() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        receipt = await parent.send(lines(spawn(HOLD), "/say never"))
        await held.begun.wait()
        assert await parent.cancel()
        await record_of(parent, r.TurnCancelled)
        (done,) = await records(parent, r.ToolCallCompleted)
        assert done.data.outcome is Outcome.cancelled
        (result,) = await manager.wait_children("p")
        assert (result.outcome, result.code) == (ChildOutcome.cancelled, "cancelled")
        assert (await parent.turn("turn-1")) is not None
        assert receipt.seq == 2
        assert (await parent.generate("/say next")).text == "next"


async def test_a_parent_goes_on_when_a_child_that_it_waits_for_is_destroyed() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        asked = asyncio.create_task(parent.generate(lines(spawn(HOLD), "/say Done.")))
        await held.begun.wait()
        await manager.destroy_session((await _ids(manager))[0])
        result = await asked
        assert result.text == "Done."
        (block,) = results(result.messages)
        assert block.is_error
        assert "Error (destroyed)" in str(block.content)


async def test_a_wait_asks_for_approval_like_any_call_and_a_rejected_one_starts_nobody() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", asking())
        receipt = await parent.send(lines(spawn("/say one"), "/say Done."))
        with pytest.raises(TurnPending):
            await parent.wait_turn(receipt, until_action=True)
        (action,) = await parent.actions()
        assert (action.tool, await _ids(manager)) == ("spawn_children", [])
        await parent.resolve_action(action.action_id, "approve", args={"tasks": ["/say other"]})
        result = await parent.wait_turn(receipt)
        assert "other" in result_texts(result.messages)[0]


async def test_a_paused_parent_takes_its_childrens_answers_and_goes_on_when_it_is_resumed() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        receipt = await parent.send(lines(spawn(HOLD), "/say Done."))
        await held.begun.wait()
        (child,) = [await manager.get_session(name) for name in await _ids(manager)]
        assert await parent.pause()
        await record_of(child, r.SessionPaused)
        assert await child.resume()
        held.go.release()
        await record_of(parent, r.ChildCompleted)
        assert await records(parent, r.ToolCallCompleted) == []
        assert await parent.resume()
        assert (await parent.wait_turn(receipt)).text == "Done."


async def test_a_sleeping_turn_hibernates_and_is_woken_by_its_timer() -> None:
    async with runtime(llm=MODEL) as manager:
        session = await manager.create_session("s", config())
        asked = asyncio.create_task(session.generate(lines('/tool sleep {"seconds": 0.3}', "/say Woken.")))
        started = await record_of(session, r.ToolCallStarted)
        assert started.data.wait is not None
        info = await session.info()
        assert info.activity is Activity.waiting
        assert info.wake_at is not None
        assert await session.hibernate()
        result = await asked
        assert (result.text, result_texts(result.messages)) == ("Woken.", ["Slept for 0.3 s."])
        (fired,) = await records(session, r.TimerFired)
        assert fired.data.name == "call:0"
        assert (fired.at - started.at).total_seconds() >= 0.3
        assert (await session.info()).epoch == 2


async def test_a_sleep_runs_beside_pure_calls_of_the_same_answer() -> None:
    held = Held()
    async with runtime(held.tool, llm=MODEL) as manager:
        steps = {"text": "", "tools": [{"tool": "sleep", "args": {"seconds": 0.01}}, {"tool": "hold", "args": {}}]}
        session = await manager.create_session("s", config(steps, {"text": "Done."}))
        asked = asyncio.create_task(session.generate("go"))
        await held.begun.wait()
        await record_of(session, r.TimerFired)
        assert (await session.info()).activity is Activity.running
        held.go.release()
        assert (await asked).text == "Done."


async def test_tools_of_the_sessions_own_are_listed_and_their_names_are_taken() -> None:
    async with runtime(llm=MODEL) as manager:
        listed = {one.name: one.effect for one in await manager.list_tools()}
        assert listed["spawn_children"] == "unsafe"
        assert listed["sleep"] == "pure"

    @tool(name="sleep")
    async def other() -> str:
        """Something else."""
        return ""

    with pytest.raises(Exception, match="sleep"):
        async with runtime(other, llm=MODEL):
            pass


async def test_large_answers_reach_the_parents_model_by_reference() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        large = "/say " + "y" * 35_000
        result = await parent.generate(lines(spawn(large, "/say small", large), "/say Done."))
        assert result.text == "Done."
        (block,) = results(result.messages)
        text = str(block.content)
        assert text.count("y" * 35_000) == 2
        assert "small" in text


# --- with less room than sessions ------------------------------------------------------------------------------------


@pytest.fixture
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime with room for one session at a time."""
    monkeypatch.setattr(local, "PER_SEAT", 1)


@pytest.mark.usefixtures("one_place")
async def test_children_cannot_starve_their_parent_of_the_only_place_nor_it_them() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        result = await parent.generate(lines(spawn("/say one", "/say two", "/say three"), "/say Done."))
        assert result.text == "Done."
        assert [one.text for one in await manager.wait_children("p")] == ["one", "two", "three"]


@pytest.mark.usefixtures("one_place")
async def test_nor_do_grandchildren() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        inner = lines(spawn("/say deep", "/say deeper"), "/say middle")
        result = await parent.generate(lines(spawn(inner, inner, "/say flat"), "/say Done."))
        assert result.text == "Done."
        assert result_texts(result.messages)[0].count("middle") == 2


@pytest.mark.usefixtures("one_place")
async def test_nor_do_parents_that_wait_for_each_others_children() -> None:
    async with runtime(llm=MODEL) as manager:
        parents = [await manager.create_session(f"p{number}", config()) for number in range(4)]
        asked = (parent.generate(lines(spawn("/say one", "/say two"), "/say Done.")) for parent in parents)
        assert [result.text for result in await asyncio.gather(*asked)] == ["Done."] * 4


async def test_many_children_cost_their_parent_few_appends() -> None:
    async with runtime(llm=MODEL) as manager:
        parent = await manager.create_session("p", config())
        children = await manager.spawn_many("p", [f"/say {number}" for number in range(64)])
        answers = await manager.wait_children("p")
        assert [one.text for one in answers] == [str(number) for number in range(64)]
        info = await parent.info()
        assert info.head_seq == 1 + 64 + 64
        assert [one.type for one in await children[7].records()] == [
            "session.created",
            "user.message",
            "turn.started",
            "model.call.started",
            "model.call.completed",
            "turn.completed",
        ]


async def test_a_turn_that_waits_is_released_when_its_session_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    released: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
    release = SessionHost.release

    async def watched(host: SessionHost, journal_id: str, assignment_no: int, *, idle_s: float = 0.0) -> bool:
        done = await release(host, journal_id, assignment_no, idle_s=idle_s)
        if done and idle_s:
            released[journal_id].set()
        return done

    monkeypatch.setattr(SessionHost, "release", watched)
    held = Held()
    async with runtime(held.tool, llm=MODEL, idle_timeout_s=0.02) as manager:
        parent = await manager.create_session("p", config())
        asked = asyncio.create_task(parent.generate(lines(spawn(HOLD), "/say Done.")))
        await held.begun.wait()
        await released[parent.journal_id].wait()
        assert (await parent.info()).activity is Activity.waiting
        held.go.release()
        assert (await asked).text == "Done."
        assert (await parent.info()).epoch >= 2
