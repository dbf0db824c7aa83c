"""A provider of one's own counts wherever Greenroom's own rules do, and nothing is shown that it has not seen."""

from __future__ import annotations

from typing import Any

import pytest

from actors.domain import records as r
from actors.domain.children import ChildSpec
from actors.domain.events import MessageDelta
from actors.domain.permissions import PermissionPolicy
from actors.domain.security import SecurityConfig
from actors.domain.session import SessionConfig
from actors.errors import InvalidConfig, SecurityUnavailable, TurnFailed
from actors.inspection import inspector
from actors.tools.function import tool
from tests.unit.local.runtimes import asking, calls, config, record_of, records, result_texts, runtime, says

HERE = "tests.unit.inspection.providers"
NAME = "Project Apollo"


def _with(*names: str, **values: Any) -> SecurityConfig:
    return SecurityConfig(providers=tuple(f"{HERE}:{name}" for name in names), **values)


@tool(effect="pure")
def tells(text: str) -> str:
    """Tell it."""
    return f"{text}: {NAME[:8]}Zeus. Simon says jump."


async def test_what_a_provider_finds_is_withheld_of_inputs_answers_pieces_results_children_and_arguments() -> None:
    steps = (
        calls(("tells", {"text": NAME})),
        calls(("tells", {"text": "open sesame"})),
        says(f"It is {NAME}, mail ada@example.org, and sesame."),
    )
    async with runtime(tells) as manager:
        one = await manager.create_session("s", config(*steps, security=_with("Projects")))
        stream = await one.generate_streaming(f"What of {NAME}?")
        pieces = "".join([event.text async for event in stream if isinstance(event, MessageDelta)])
        history = await one.history()
        first, second = result_texts(history)
        noted = await one.security_report()
        children = await one.spawn_many([ChildSpec(prompt=NAME, config=SessionConfig(model=config(says(NAME)).model))])
        (outcome,) = await one.wait_children()
        child = await manager.get_session(children[0].session_id)
        everything = [repr(record) for each in (one, child) for record in await each.records(limit=1000)]

    hidden = "[REDACTED:PROJECT]"
    said = f"It is {hidden}, mail [REDACTED:EMAIL], and [REDACTED:DOOR]."
    assert (history[0].text, pieces, history[-1].text) == (f"What of {hidden}?", said, said)
    assert "house" in first
    assert f"{hidden}: {hidden}." in first, "what only tells of somebody may be an argument, and comes back withheld"
    assert "hold a secret (DOOR)" in second
    assert noted.withheld == {"PROJECT": 4, "DOOR": 2, "EMAIL": 1}
    assert outcome.text == hidden
    model = [one for one in everything if NAME in one and "session.created" not in one and "ToolUseBlock" not in one]
    assert model == []


@pytest.mark.parametrize("name", ["Raises", "Dies", "Nonsense", "Hangs"])
async def test_a_provider_that_fails_lets_nothing_through_and_ends_nothing_but_the_call(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspector.Inspector.__init__, "__kwdefaults__", {"load_s": 30.0, "answer_s": 0.3})
    steps = (calls(("tells", {"text": "x"})), says(NAME))
    async with runtime(tells) as manager:
        one = await manager.create_session("s", config(*steps))
        receipt = await one.send("go")
        await one.wait_turn(receipt)
        await one.configure(security=_with(name, kinds=()))
        with pytest.raises(SecurityUnavailable):
            await one.send("open sesame")
        await one.configure(security=SecurityConfig(enabled=False))
        assert (await one.generate("and on")).text == NAME

        everything = "".join(repr(record) for record in await one.records(limit=1000))
        assert "sesame" not in everything


async def test_what_a_failing_provider_has_not_seen_of_an_answer_or_a_result_is_in_no_record() -> None:
    async with runtime(tells) as manager:
        one = await manager.create_session(
            "s", config(calls(("tells", {"text": "x"})), says(f"{NAME}."), security=_with("Fickle"))
        )

        with pytest.raises(TurnFailed, match="has not looked through"):
            await one.generate("go")

        (completed,) = await records(one, r.ToolCallCompleted)
        assert "came to its end (ok), and its result is withheld" in str(completed.data.content)
        assert NAME not in "".join(repr(record) for record in (await one.records(limit=1000))[1:])


async def test_a_provider_that_cannot_be_loaded_is_refused_where_it_is_named() -> None:
    async with runtime() as manager:
        with pytest.raises(InvalidConfig, match="no licence"):
            await manager.create_session("s", config(security=_with("Broken")))
        one = await manager.create_session("s", config())
        with pytest.raises(InvalidConfig, match="cannot be loaded"):
            await one.configure(security=_with("Nobody"))
    with pytest.raises(InvalidConfig, match="cannot be loaded"):
        async with runtime(security=_with("Nobody")):
            pass


async def test_what_a_child_reports_is_taken_while_a_provider_fails_and_its_words_are_not_shown() -> None:
    async with runtime(tells) as manager:
        parent = await manager.create_session("p", config())
        waits = asking(calls(("tells", {"text": "x"})), says(NAME), permission_policy=PermissionPolicy())
        (child,) = await parent.spawn_many([ChildSpec(prompt="go", config=waits)])
        asked = await record_of(await manager.get_session(child.session_id), r.ActionRequested)
        await parent.configure(security=_with("Raises", kinds=()))

        await manager.confirm_tool(child.session_id, asked.data.action_id, True)
        (outcome,) = await parent.wait_children()

        (report,) = await records(parent, r.ChildCompleted)
        assert (outcome.outcome, report.data.text) == ("completed", "[REDACTED:UNCHECKED]")
        (noted,) = await records(parent, r.SecurityNoted)
        assert noted.data.withheld == {"UNCHECKED": 1}


async def test_a_turn_can_be_cancelled_and_a_question_decided_while_a_provider_fails() -> None:
    async with runtime(tells) as manager:
        waits = asking(calls(("tells", {"text": "x"})), says("Done."), permission_policy=PermissionPolicy())
        one = await manager.create_session("s", waits)
        for decide in (True, False):
            receipt = await one.send("go")
            asked = await record_of(one, r.ActionRequested, count=1 if decide else 2)
            await one.configure(security=_with("Raises", kinds=()), system_prompt="It is not shown to a provider.")
            if decide:
                await one.resolve_action(asked.data.action_id, "reject", reason="for sesame")
            else:
                await one.cancel("for sesame too")
            with pytest.raises(TurnFailed):
                await one.wait_turn(receipt)
            await one.configure(security=SecurityConfig(enabled=False))

        everything = "".join(repr(record) for record in await one.records(limit=1000))
        assert "sesame" not in everything


async def test_an_input_that_was_taken_has_its_first_outcome_while_a_provider_fails() -> None:
    async with runtime() as manager:
        one = await manager.create_session("s", config(says("Yes."), security=_with("Projects")))
        first = await one.send("go", command_id="k")
        await one.wait_turn(first)
        await one.configure(security=_with("Raises"))

        assert await one.send("go", command_id="k") == first
        with pytest.raises(SecurityUnavailable, match="ValueError"):
            await one.send("go", command_id="another")
