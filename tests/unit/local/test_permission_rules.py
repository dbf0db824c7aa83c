"""Rules that are added while a session lives, and policies tried on what it did."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors import PermissionPolicy, SessionConfig, SessionManager, errors, tool
from tests.unit.local.runtimes import asking, calls, config, results, runtime, says, session


@tool
async def act(what: str) -> str:
    """Do it."""
    return what


async def test_rules_are_added_one_by_one_and_the_strictest_counts() -> None:
    async with runtime() as manager:
        await manager.create_session("s", SessionConfig())
        command = {"command": "npm audit"}
        assert await manager.check_permission("s", "bash", command) == "ask"
        await manager.add_permission_rule("s", "allow", "bash(npm:*)")
        assert await manager.check_permission("s", "bash", command) == "allow"
        await manager.add_permission_rule("s", "deny", "bash(npm audit:*)")
        assert await manager.check_permission("s", "bash", command) == "deny"
        assert await manager.check_permission("s", "bash", {"command": "npm install"}) == "allow"
        await manager.add_permission_rule("s", "ask", "bash(docker ps:*)")
        assert await manager.check_permission("s", "bash", {"command": "docker ps"}) == "ask"


@pytest.mark.parametrize(("kind", "rule"), [("maybe", "bash"), ("allow", "bash("), ("deny", ""), ("ask", "x" * 2000)])
async def test_a_list_or_a_rule_that_does_not_exist_is_refused(kind: str, rule: str) -> None:
    async with session(config()) as one:
        with pytest.raises(errors.InvalidRequest):
            await one.add_permission_rule(kind, rule)


async def test_permissions_of_an_unknown_session_are_errors() -> None:
    async with runtime() as manager:
        for ask in (
            manager.get_permission_policy("no"),
            manager.set_permission_policy("no", PermissionPolicy()),
            manager.check_permission("no", "bash", {}),
            manager.add_permission_rule("no", "allow", "bash"),
            manager.dry_run_policy("no", PermissionPolicy()),
        ):
            with pytest.raises(errors.SessionNotFound):
                await ask


async def test_rules_added_at_once_are_all_kept_and_a_repeated_one_once() -> None:
    async with session(asking()) as one:
        await asyncio.gather(*(one.add_permission_rule("deny", f"bash(rm {number}:*)") for number in range(20)))
        head = (await one.info()).head_seq
        policy = await one.add_permission_rule("deny", "bash(rm 7:*)")

        assert {rule.text for rule in policy.deny} == {f"bash(rm {number}:*)" for number in range(20)}
        assert (await one.info()).head_seq == head


async def test_a_session_whose_own_policy_is_taken_away_has_the_runtimes() -> None:
    given = PermissionPolicy(allow=["act"], deny=["bash"])
    async with runtime(permission_policy=given) as manager:
        await manager.create_session("s", SessionConfig())
        assert await manager.get_permission_policy("s") == given
        own = PermissionPolicy(deny=["act"])
        assert await manager.set_permission_policy("s", own) == own
        assert await manager.check_permission("s", "act", {}) == "deny"
        assert await manager.set_permission_policy("s", None) == given
        assert await manager.check_permission("s", "act", {}) == "allow"


async def test_a_command_id_makes_adding_repeatable() -> None:
    async with session(asking()) as one:
        await one.add_permission_rule("allow", "ls", command_id="first")
        await one.set_permission_policy(PermissionPolicy())
        assert (await one.add_permission_rule("allow", "ls", command_id="first")).allow == ()
        with pytest.raises(errors.CommandConflict):
            await one.add_permission_rule("allow", "read", command_id="first")


async def test_a_full_policy_takes_no_more_rules() -> None:
    rules = [f"bash({number}{'x' * 1000}:*)" for number in range(65)]
    async with session(asking(permission_policy=PermissionPolicy(deny=rules))) as one:
        with pytest.raises(errors.InvalidRequest, match="full"):
            await one.add_permission_rule("deny", "bash(rm:*)")


async def test_an_added_rule_outlives_the_runtime(tmp_path: Path) -> None:
    for check in (False, True):
        async with await SessionManager.local(store=str(tmp_path)) as manager:
            if not check:
                await (await manager.create_session("s", SessionConfig())).add_permission_rule("deny", "bash(rm:*)")
            assert await manager.check_permission("s", "bash", {"command": "ls; rm x"}) == "deny"


async def test_an_added_denial_stops_the_next_call() -> None:
    steps = (calls(("act", {"what": "good"}), ("act", {"what": "evil"})), says("done"))
    async with session(config(*steps), act) as one:
        await one.add_permission_rule("deny", 'act(*"evil"*)')
        result = await one.generate("go")

    assert [bool(block.is_error) for block in results(result.messages)] == [False, True]


async def test_a_policy_is_tried_on_what_was_called_before() -> None:
    steps = (calls(("act", {"what": "good"}), ("act", {"what": "evil"})), says("done"))
    policy = PermissionPolicy(allow=["act"], deny=['act(*"evil"*)'])
    async with session(config(*steps), act) as one:
        await one.generate("go")
        await one.generate("again")
        head = (await one.info()).head_seq
        whole = await one.dry_run_policy(policy)
        first = await one.dry_run_policy(policy, limit=1)
        assert first.next_after is not None
        second = await one.dry_run_policy(policy, after=first.next_after, limit=1)

        assert [call.decision for call in whole.calls] == ["allow", "deny", "allow", "deny"]
        assert first.calls + second.calls == whole.calls
        assert [call.seq for call in whole.of("deny")] == [first.calls[1].seq, second.calls[1].seq]
        assert whole.next_after is None
        assert (await one.info()).head_seq == head


async def test_a_call_that_was_changed_before_it_ran_is_judged_as_it_ran() -> None:
    async with session(asking(calls(("act", {"what": "evil"})), says("done")), act) as one:
        receipt = await one.send("go")
        with pytest.raises(errors.TurnPending):
            await one.wait_turn(receipt, until_action=True)
        (action,) = await one.actions()
        await one.resolve_action(action.action_id, "approve", args={"what": "good"})
        await one.wait_turn(receipt)
        found = await one.dry_run_policy(PermissionPolicy(allow=["act"], deny=['act(*"evil"*)']))

        assert [call.decision for call in found.calls] == ["deny", "allow"]


@pytest.mark.parametrize(("after", "limit"), [(-1, 1), (0, 0), (0, 1001)])
async def test_a_dry_run_is_bounded(after: int, limit: int) -> None:
    async with session(config()) as one:
        with pytest.raises(errors.InvalidRequest):
            await one.dry_run_policy(PermissionPolicy(), after=after, limit=limit)
