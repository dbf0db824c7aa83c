"""What a killed process costs: nothing that was acknowledged, and no second run of a tool."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from ray.exceptions import RayError

from actors import (
    Budget,
    ConfirmationPolicy,
    LlmConfig,
    PermissionPolicy,
    Receipt,
    SessionConfig,
    SessionHandle,
    SessionManager,
    SessionState,
)
from actors.cluster.links import actor_named
from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.policies import OnInDoubt
from actors.errors import SessionEnded, StoreUnavailable
from tests.integration.conftest import MODEL, MakeRuntime
from tests.integration.crash_site import BOUND_S, Death, Gate, actors_of, kill, kill_all
from tests.integration.processes import none_left
from tests.integration.waiting import action_of, event_of

NewId = Callable[[], str]

DEATHS_BESIDE_THE_TOOL = (
    ("session", Death.killed),
    ("session", Death.exited),
    ("session", Death.crashed),
    ("registry", Death.killed),
    ("models", Death.killed),
    ("models", Death.crashed),
    ("store", Death.killed),
)


async def _types(session: SessionHandle) -> Counter[str]:
    return Counter(record.type for record in await session.records(limit=1000))


async def _assert_gapless(session: SessionHandle) -> None:
    records = await session.records(limit=1000)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))


@pytest.mark.parametrize(("kind", "how"), DEATHS_BESIDE_THE_TOOL)
async def test_a_turn_survives_the_death_of_any_actor_beside_its_tool(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path, kind: str, how: Death
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive)
    waiting = asyncio.create_task(session.generate(gate.prompt("survived"), timeout=BOUND_S))
    await gate.begun()

    await kill_all(crashing.settings.runtime, kind, how)
    await gate.open()

    result = await waiting
    assert result.text == "survived"
    assert gate.lines == ["begin", "end"], "the tool ran once"
    types = await _types(session)
    assert types["tool.call.started"] == types["tool.call.completed"] == 1
    assert types["turn.completed"] == 1
    assert [message.role for message in result.messages] == ["user", "assistant", "user", "assistant"]
    await _assert_gapless(session)
    assert (await session.generate("after", timeout=BOUND_S)).text == "after"


async def test_a_compaction_outlives_the_process_of_its_session(crashing: SessionManager, new_id: NewId) -> None:
    options = {"steps": [{"text": "Yes."}], "summary": {"text": "We counted.", "delay_s": 0.5}}
    model = LlmConfig.of("scripted/script", options=options)
    session = await crashing.create_session(new_id(), SessionConfig(model=model))
    for number in range(31):
        await session.add_message(f"m{number}")
    compacting = asyncio.create_task(session.compact(timeout=BOUND_S))
    async for event in session.events(follow=True):
        if event.type == "model.call.started":
            break
    await session.resolve()
    await kill(session.actor)

    done = await compacting
    assert done is not None
    assert done.after_messages == len(await session.history()) == 23
    types = await _types(session)
    assert types["session.compacted"] == types["model.call.completed"] == 1
    assert (await session.generate("and now?", timeout=BOUND_S)).text == "Yes."


async def test_a_driver_does_not_notice_the_death_of_the_store(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    doomed = await crashing.create_session(new_id(), permissive)
    await kill_all(crashing.settings.runtime, "store")

    created = await crashing.create_session(new_id(), permissive)
    assert await crashing.destroy_session(doomed.session_id)

    await kill_all(crashing.settings.runtime, "store")
    assert (await created.info()).session_id == created.session_id
    assert (await created.generate("hello", timeout=BOUND_S)).text == "hello"


async def test_a_tool_that_ends_while_its_session_is_dead_is_not_run_again(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive)
    receipt = await session.send(gate.prompt())
    await gate.begun()
    await session.resolve()
    # The registry dies with the session's actor, so that nobody activates the session before the tool has ended.
    await kill_all(crashing.settings.runtime, "registry")
    await kill(session.actor)
    await gate.open()

    result = await session.wait_turn(receipt, timeout=BOUND_S)

    assert result.text == "done"
    assert gate.lines == ["begin", "end"]


async def test_a_session_killed_between_turns_remembers_everything(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    session = await crashing.create_session(new_id(), permissive)
    for word in ("one", "two"):
        await session.generate(word, timeout=BOUND_S)
    await session.resolve()
    await kill(session.actor)

    result = await session.generate("three", timeout=BOUND_S)

    assert [message.text for message in result.messages] == ["one", "one", "two", "two", "three", "three"]
    assert (await session.info()).epoch == 2


async def test_an_unsafe_call_whose_host_died_waits_for_a_decision(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive)
    receipt = await session.send(gate.prompt("went on"))
    await gate.begun()

    await kill_all(crashing.settings.runtime, "tools")

    async with asyncio.timeout(BOUND_S):
        async for event in session.events(follow=True):
            if isinstance(event, r.ActionRequested):
                break
    (action,) = await session.actions()
    assert action.kind is ActionKind.in_doubt
    await session.resolve_action(action.action_id, "answer", value="it had written the line")
    result = await session.wait_turn(receipt, timeout=BOUND_S)
    assert result.text == "went on"
    assert gate.lines == ["begin"], "nobody ran it again, and the reaper ended the first run"


async def test_a_call_in_doubt_is_reported_to_the_model_when_the_policy_says_so(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive.changed(on_in_doubt=OnInDoubt.report))
    receipt = await session.send(gate.prompt("went on"))
    await gate.begun()

    await kill_all(crashing.settings.runtime, "tools")

    result = await session.wait_turn(receipt, timeout=BOUND_S)
    assert "unknown" in str(result.messages[2].content)
    assert gate.lines == ["begin"]


async def test_a_retried_call_runs_on_the_new_host(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive.changed(on_in_doubt=OnInDoubt.retry))
    receipt = await session.send(gate.prompt("went on"))
    await gate.begun()

    await kill_all(crashing.settings.runtime, "tools")
    await gate.begun()
    await gate.open()

    await session.wait_turn(receipt, timeout=BOUND_S)
    assert gate.lines == ["begin", "begin", "end"]
    started = [one for one in await session.records(limit=1000) if isinstance(one, r.ToolCallStarted)]
    assert [one.data.attempt for one in started] == [1, 2]
    assert started[0].data.call_id == started[1].data.call_id


@pytest.mark.parametrize("how", [Death.exited, Death.crashed])
async def test_a_tool_that_ends_its_host_from_inside_has_run_once_and_is_asked_about(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path, how: Death
) -> None:
    session = await crashing.create_session(new_id(), permissive)
    given = json.dumps({"folder": str(tmp_path), "how": how.value})
    receipt = await session.send(f"/tool take_host_along {given}\nwent on")

    action = await action_of(session)
    assert action.kind is ActionKind.in_doubt
    await session.resolve_action(action.action_id, "skip")
    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "went on"
    assert (tmp_path / "mark").read_text() == "once"
    types = await _types(session)
    assert (types["tool.call.started"], types["tool.call.in_doubt"], types["tool.call.completed"]) == (1, 1, 1)
    await _assert_gapless(session)
    assert (await session.generate("after", timeout=BOUND_S)).text == "after"


async def test_a_tool_that_can_tell_is_asked_when_its_host_was_killed(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive)
    receipt = await session.send(f'/tool leave_mark {{"folder": "{tmp_path}"}}\nwent on')
    await gate.begun()

    await kill_all(crashing.settings.runtime, "tools")

    result = await session.wait_turn(receipt, timeout=BOUND_S)
    assert result.text == "went on"
    (told,) = [one for one in await session.records(limit=1000) if isinstance(one, r.ToolCallCompleted)]
    assert told.data.content == "once, seen afterwards"
    assert await session.actions(pending=False) == ()


async def test_a_queued_input_of_a_dead_session_is_answered_without_anybody_asking(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive)
    await session.send(gate.prompt())
    second = await session.send("second")
    await gate.begun()
    await session.resolve()
    await kill(session.actor)
    await gate.open()

    assert (await session.wait_turn(second, timeout=BOUND_S)).text == "second"


async def test_a_changed_default_model_outlives_the_registry(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    session = await crashing.create_session(new_id(), permissive)
    await session.generate("hello", timeout=BOUND_S)
    await crashing.set_default_llm("scripted/echo")
    try:
        await kill_all(crashing.settings.runtime, "registry")

        model = await crashing.get_llm_for_session(session.session_id)

        assert model is not None
        assert model.name == "scripted/echo"
        # The echo model says what the other one would do.
        assert (await session.generate("/say something", timeout=BOUND_S)).text == "/say something"
    finally:
        await crashing.set_default_llm(MODEL)


async def test_a_warm_session_actor_that_dies_is_replaced(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId
) -> None:
    await kill_all(crashing.settings.runtime, "session")

    session = await crashing.create_session(new_id(), permissive)

    assert (await session.generate("hello", timeout=BOUND_S)).text == "hello"
    assert actors_of(crashing.settings.runtime, "session")


async def test_a_frozen_session_actor_is_replaced_and_harmless_when_it_thaws(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive)
    receipt = await session.send(gate.prompt())
    await gate.begun()
    await session.resolve()
    pid = await session.actor.pid.remote()
    os.kill(pid, signal.SIGSTOP)
    await gate.open()

    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "done"

    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    assert (await session.generate("after", timeout=BOUND_S)).text == "after"
    assert gate.lines == ["begin", "end"]
    await _assert_gapless(session)


async def test_frozen_hosts_are_killed_and_their_calls_go_on_as_after_any_death(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    unsafe = await crashing.create_session(new_id(), permissive)
    acting = await unsafe.send(gate.prompt("went on"))
    asking = await crashing.create_session(new_id(), permissive)
    await asking.send(f"/sleep {BOUND_S}\nanswered")
    await gate.begun()
    await event_of(asking, r.ModelCallStarted)
    names = [name for kind in ("tools", "models") for name in actors_of(crashing.settings.runtime, kind)]
    pids = [await actor_named(name).pid.remote() for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    try:
        again = await event_of(asking, r.ModelCallStarted, nth=2)
        action = await action_of(unsafe)
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    assert action.kind is ActionKind.in_doubt
    await unsafe.resolve_action(action.action_id, "skip")
    assert (await unsafe.wait_turn(acting, timeout=BOUND_S)).text == "went on"
    assert gate.lines == ["begin"], "what a thawed host still has to say is of no interest"
    assert again.data.attempt == 2
    await asking.cancel()
    await event_of(asking, r.TurnCancelled)
    assert await asyncio.to_thread(none_left, pids, BOUND_S) == []
    await _assert_gapless(unsafe)


@pytest.mark.parametrize("kind", ["registry", "store"])
async def test_a_frozen_registry_or_store_is_started_again(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, kind: str
) -> None:
    session = await crashing.create_session(new_id(), permissive)
    receipt = await session.send("before")
    await session.wait_turn(receipt, timeout=BOUND_S)
    await session.hibernate()
    (name,) = actors_of(crashing.settings.runtime, kind)
    pid = await actor_named(name).pid.remote()
    os.kill(pid, signal.SIGSTOP)

    try:
        # A dormant session needs the registry, and every turn the store.
        async with asyncio.timeout(BOUND_S):
            while not await _answers(session):
                pass
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    assert await actor_named(name).pid.remote() != pid
    texts = [message.text for message in await session.history()]
    assert texts == ["before", "before", "after", "after"], "asked until it was answered, and answered once"
    await _assert_gapless(session)


async def _answers(session: SessionHandle) -> bool:
    try:
        return (await session.generate("after", timeout=BOUND_S, command_id="after")).text == "after"
    except StoreUnavailable:
        return False


_KEY = SecretStr("sk-kept-in-memory")
_KEYED = LlmConfig.of("scripted/echo").model_copy(update={"api_key": _KEY})


async def test_a_key_outlives_each_who_holds_it_and_is_asked_for_when_all_are_gone(
    crashing: SessionManager, new_id: NewId
) -> None:
    session = await crashing.create_session(new_id(), SessionConfig(model=_KEYED))
    for kind in ("none", "registry", "models"):
        if kind != "none":
            await kill_all(crashing.settings.runtime, kind)
            # Whoever is started again has the key once it answers.
            await crashing.runtime_status()
        assert (await session.generate(kind, timeout=BOUND_S)).text == kind

    holders = [name for kind in ("registry", "models") for name in actors_of(crashing.settings.runtime, kind)]
    for pid in await asyncio.gather(*(actor_named(name).pid.remote() for name in holders)):
        os.kill(pid, signal.SIGKILL)
    receipt = await session.send("at last")
    action = await action_of(session)

    assert action.kind is ActionKind.credential
    await session.configure(model_config=_KEYED)
    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "at last"
    await _assert_gapless(session)


async def test_a_session_that_kills_its_process_again_and_again_is_taken_out_of_service(
    crashing: SessionManager, permissive: SessionConfig, new_id: NewId, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    session = await crashing.create_session(new_id(), permissive)
    receipt = await session.send(gate.prompt())
    await gate.begun()
    killed: set[int] = set()
    async with asyncio.timeout(BOUND_S):
        while (await session.info()).state is SessionState.active:
            await session.resolve()
            if session.actor is not None:
                with suppress(RayError):
                    killed.add(await kill(session.actor))

    last = (await session.records(after=(await session.info()).head_seq - 1))[0]
    assert isinstance(last, r.SessionError)
    assert last.data.code == "crash_loop"
    assert len(killed) >= 3
    with pytest.raises(SessionEnded):
        await session.generate("hello", timeout=BOUND_S)

    assert await session.resume()
    await gate.open()
    assert (await session.wait_turn(receipt, timeout=BOUND_S)).text == "done"
    assert gate.lines == ["begin", "end"]


_SLOW = LlmConfig.of("scripted/script", options={"steps": [{"text": "slow", "delay_s": 1.0}]})
_CROWD: dict[str, tuple[SessionConfig, str, str]] = {
    "model": (SessionConfig(model=_SLOW), "go", "slow"),
    "asking": (
        SessionConfig(confirmation_policy=ConfirmationPolicy(default_timeout_ms=600_000)),
        "/tool ls {}\nasked",
        "asked",
    ),
    "sleeping": (
        SessionConfig(permission_policy=PermissionPolicy.permissive()),
        '/tool sleep {"seconds": 1}\nwoken',
        "woken",
    ),
    "spent": (
        SessionConfig(permission_policy=PermissionPolicy.permissive(), budget=Budget(tool_calls=0)),
        "/tool ls {}\nlisted",
        "listed",
    ),
    "waiting": (
        SessionConfig(permission_policy=PermissionPolicy.permissive(), budget=Budget(tool_calls=9)),
        '/tool spawn_children {"tasks": ["/tool sleep {\\"seconds\\": 1}\\nborn"]}\nparent',
        "parent",
    ),
}
"""What a session is in the middle of, and its answer in the end."""

EACH = 6
"""Sessions of each kind."""


async def test_a_runtime_that_is_killed_whole_and_started_again_on_its_store_ends_every_open_turn(
    fresh_runtime: MakeRuntime, permissive: SessionConfig, tmp_path: Path
) -> None:
    directory = tmp_path / "store"
    first = await fresh_runtime(directory=directory, sessions_per_actor=20)
    session = await first.create_session("s", permissive)
    gate = Gate(tmp_path)
    receipt = await session.send(gate.prompt("survived"))
    await gate.begun()
    receipts: dict[str, Receipt] = {}
    for kind, (config, prompt, _) in _CROWD.items():
        for handle in await first.create_sessions([f"{kind}-{number}" for number in range(EACH)], config):
            receipts[handle.session_id] = await handle.send(prompt)
    keyed = await first.create_session("keyed", SessionConfig(model=_SLOW.model_copy(update={"api_key": _KEY})))
    await keyed.send("go", command_id="go")
    # In the order in which nobody can repair anything any more.
    for kind in ("registry", "session", "models", "store", "tools"):
        await kill_all(first.settings.runtime, kind)
    await first.close()

    second = await fresh_runtime(directory=directory, sessions_per_actor=20)
    again = await second.get_session("s")
    doubt = await action_of(again)
    await again.resolve_action(doubt.action_id, "skip")
    keyed = await second.get_session("keyed")
    assert (await action_of(keyed)).kind is ActionKind.credential
    await keyed.configure(model_config=_SLOW.model_copy(update={"api_key": _KEY}))
    assert (await keyed.wait_turn(await keyed.send("go", command_id="go"), timeout=BOUND_S)).text == "slow"
    for number in range(EACH):
        asking = await second.get_session(f"asking-{number}")
        await asking.confirm_tool((await action_of(asking)).action_id, approved=True)
        spent = await second.get_session(f"spent-{number}")
        await spent.resolve_action((await action_of(spent)).action_id, "approve")
    assert (await again.wait_turn(receipt, timeout=BOUND_S)).text == "survived"
    assert gate.lines == ["begin"]
    for name, one in receipts.items():
        handle = await second.get_session(name)
        assert (await handle.wait_turn(one, timeout=BOUND_S)).text == _CROWD[name.partition("-")[0]][2]
        await _assert_gapless(handle)
    for number in range(EACH):
        waiting = await second.get_session(f"waiting-{number}")
        await event_of(waiting, r.LeaseReturned)
        budget = (await waiting.info()).budget
        assert budget is not None
        assert (budget.used.tool_calls, budget.leased.tool_calls, budget.remaining.tool_calls) == (1, 1, 7)
