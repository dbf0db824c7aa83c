"""Decisions that count for more than one call, in whole turns."""

from __future__ import annotations

from typing import Any

import pytest

from actors.domain import records as r
from actors.errors import InvalidRequest
from actors.handle import SessionHandle
from tests.unit.local.runtimes import asking, calls, record_of, records, runtime, says, session

_LS = calls(("ls", {"path": "."}))


async def _asked(handle: SessionHandle, nth: int = 1) -> str:
    return (await record_of(handle, r.ActionRequested, count=nth)).data.action_id


@pytest.mark.parametrize("how", ["session", "rule"])
async def test_an_approval_that_is_remembered_is_not_asked_again_also_after_hibernation(how: str) -> None:
    async with session(asking(_LS, says("done"))) as handle:
        receipt = await handle.send("go")
        await handle.resolve_action(await _asked(handle), "approve", remember=how)
        await handle.wait_turn(receipt)
        await handle.hibernate()

        assert (await handle.generate("again")).text == "done"
        assert len(await records(handle, r.ActionRequested)) == 1
        (rule,) = (await handle.permission_policy()).allow
        assert rule.text == {"session": "ls(.)", "rule": "ls"}[how]


async def test_a_decision_counts_once_unless_told_otherwise() -> None:
    async with session(asking(_LS, says("done"))) as handle:
        await handle.send("go")
        await handle.resolve_action(await _asked(handle), "approve")
        await handle.send("again")
        await handle.resolve_action(await _asked(handle, 2), "approve")

        assert (await handle.permission_policy()).allow == ()


async def test_a_rejection_that_is_remembered_denies() -> None:
    async with session(asking(_LS, says("done"))) as handle:
        receipt = await handle.send("go")
        await handle.resolve_action(await _asked(handle), "reject", remember="session")
        await handle.wait_turn(receipt)
        await handle.generate("again")

        assert [one.data.code for one in await records(handle, r.ToolCallDenied)] == ["rejected", "permission"]


async def test_a_rule_can_be_given_and_the_arguments_that_were_approved_count() -> None:
    async with runtime() as manager:
        one = await manager.create_session("one", asking(_LS, says("done")))
        other = await manager.create_session("other", asking(_LS, says("done")))
        await one.send("go")
        await other.send("go")
        await manager.resolve_action("one", await _asked(one), "approve", remember="rule", rule="ls(src/**)")
        await other.resolve_action(await _asked(other), "approve", args={"path": "src"}, remember="session")

        assert [rule.text for rule in (await one.permission_policy()).allow] == ["ls(src/**)"]
        assert [rule.text for rule in (await other.permission_policy()).allow] == ["ls(src)"]


async def test_what_cannot_be_remembered_is_refused_and_the_question_stands() -> None:
    async with session(asking(calls(("ls", {"path": "*"})), says("done"))) as handle:
        await handle.send("go")
        action_id = await _asked(handle)
        refused: tuple[dict[str, Any], ...] = (
            {"remember": "session"},
            {"remember": "always"},
            {"rule": "ls"},
            {"remember": "rule", "rule": "ls("},
        )
        for values in refused:
            with pytest.raises(InvalidRequest):
                await handle.resolve_action(action_id, "approve", **values)

        assert [one.action_id for one in await handle.actions()] == [action_id]
