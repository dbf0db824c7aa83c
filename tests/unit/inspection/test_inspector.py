"""Providers of users are asked in processes of their own, and those that fail say nothing that is believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.domain.inspection import Finding, merged
from actors.domain.security import SecurityConfig
from actors.errors import InvalidConfig, SecurityUnavailable
from actors.inspection import inspectors
from actors.inspection.inspector import Inspector
from actors.inspection.inspectors import Inspectors

SHORT_S = 0.05
HERE = "tests.unit.inspection.providers"


@asynccontextmanager
async def _inspector(name: str, answer_s: float = 10.0) -> AsyncGenerator[Inspector]:
    inspector = Inspector(f"{HERE}:{name}", answer_s=answer_s)
    try:
        yield inspector
    finally:
        await inspector.close()


async def test_what_a_provider_finds_is_told_text_by_text_whatever_it_prints() -> None:
    async with _inspector("Projects") as inspector:
        one, two = await inspector.inspect(["About Project Apollo\nand ünï 🎭 Project Zeus", "nothing"])

    assert [(finding.start, finding.end, finding.label) for finding in one.findings] == [
        (6, 20, "PROJECT"),
        (31, 43, "PROJECT"),
    ]
    assert two.findings == ()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Raises", r"it failed \(ValueError\)"),
        ("Dies", "its process ended"),
        ("Nonsense", "of no use"),
        ("Words", "of no use"),
        ("Hangs", "does not answer in time"),
    ],
)
async def test_a_provider_that_fails_has_looked_at_nothing_and_what_it_says_of_the_text_is_not_told(
    name: str, why: str
) -> None:
    async with _inspector(name, SHORT_S if name == "Hangs" else 10.0) as inspector:
        for _ in range(2):
            with pytest.raises(SecurityUnavailable, match=why) as failed:
                await inspector.inspect(["open sesame"])
            assert "sesame" not in failed.value.message


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("tests.unit.inspection.nowhere:X", "No module named"),
        (f"{HERE}:Nobody", "has no attribute 'Nobody'"),
        (f"{HERE}:Broken", "RuntimeError: no licence"),
        (f"{HERE}:Wordless", "has no method inspect"),
    ],
)
async def test_what_cannot_be_loaded_is_refused_with_the_reason(reference: str, why: str) -> None:
    inspector = Inspector(reference)

    with pytest.raises(InvalidConfig, match=why):
        await inspector.load()
    with pytest.raises(SecurityUnavailable, match=why):
        await inspector.inspect(["it is not started again at once"])


async def test_the_secrets_of_the_service_do_not_reach_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary-of-the-environment")

    async with _inspector("Environment") as inspector:
        (found,) = await inspector.inspect(["x"])

    assert found.findings == ()


async def test_a_question_that_is_given_up_while_its_provider_loads_spoils_none_that_comes_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads = asyncio.Event()
    answer = Inspector._answer  # pyright: ignore[reportPrivateUsage]

    async def told(self: Inspector, limit_s: float) -> dict[str, Any]:
        loads.set()
        return await answer(self, limit_s)

    monkeypatch.setattr(Inspector, "_answer", told)
    async with _inspector("Projects") as inspector:
        given_up = asyncio.create_task(inspector.inspect(["x"]))
        await loads.wait()
        given_up.cancel()
        await asyncio.wait([given_up])

        (found,) = await inspector.inspect(["Project Apollo"])

    assert [finding.label for finding in found.findings] == ["PROJECT"]


async def test_a_provider_makes_room_for_another_after_its_answers_and_no_process_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def starts(*args: Any, **values: Any) -> asyncio.subprocess.Process:
        started.append(await start(*args, **values))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starts)
    monkeypatch.setattr(inspectors, "MAX_INSPECTORS", 1)
    asks = Inspectors()
    configs = [SecurityConfig(providers=(f"{HERE}:{name}",)) for name in ("Projects", "Environment", "Projects")]
    try:
        answers = await asyncio.gather(*(asks.inspect(one, ["Project Apollo"]) for one in configs))
    finally:
        await asks.close()

    assert [len(said["Project Apollo"].findings) for said in answers] == [1, 0, 1]
    assert len(started) == 3
    assert all(process.returncode is not None for process in started)


def test_places_that_overlap_are_one_and_open_a_door_if_one_of_them_does() -> None:
    places = [(4, 9, "B", True), (0, 5, "A", False), (9, 12, "C", True)]

    found = merged([Finding(start=s, end=e, label=label, personal=p) for s, e, label, p in places])

    assert [(one.start, one.end, one.label, one.personal) for one in found] == [
        (0, 9, "A", False),
        (9, 12, "C", True),
    ]
