"""The instructions that every model gets."""

from __future__ import annotations

import pytest

from actors.policy.prompts import SystemPromptSlots, system_prompt

_SECTIONS = ("## Core Behaviour", "## Tool Usage Strategy", "## Completion Criteria", "## Response Format")


def test_without_slots_there_are_core_behaviour_tool_strategy_completion_and_response_format() -> None:
    built = SystemPromptSlots().build()
    places = [built.index(section) for section in _SECTIONS]
    assert places == sorted(places)
    assert (SystemPromptSlots().is_empty, "## Guidelines" in built) == (True, False)
    assert system_prompt(None) == system_prompt("") == built


def test_a_role_takes_the_place_of_the_standard_identity() -> None:
    standard = SystemPromptSlots().build().splitlines()[0]
    built = SystemPromptSlots(role="You are a gardener.").build()
    assert built.startswith("You are a gardener.\n\n## Core Behaviour")
    assert standard not in built


def test_guidelines_are_a_section_of_their_own() -> None:
    assert "\n\n## Guidelines\nBe kind." in SystemPromptSlots(guidelines="Be kind.").build()


def test_a_response_style_takes_the_place_of_the_standard_format() -> None:
    built = SystemPromptSlots(response_style="Rhyme.").build()
    assert built.count("## Response Format") == 1
    assert built.endswith("## Response Format\nRhyme.")


def test_a_sessions_own_text_comes_last_and_keeps_the_core() -> None:
    built = system_prompt("Speak {role} of tea.")
    assert built == SystemPromptSlots.from_legacy("Speak {role} of tea.").build()
    assert built.startswith(system_prompt(None))
    assert built.endswith("\n\nSpeak {role} of tea.")


def test_all_slots_stand_together_in_their_order() -> None:
    slots = SystemPromptSlots(role="R.", guidelines="G.", response_style="S.", extra="E.")
    built = slots.build()
    places = [built.index(text) for text in ("R.", "## Core", "## Response Format\nS.", "## Guidelines\nG.", "E.")]
    assert places == sorted(places)
    assert not slots.is_empty


@pytest.mark.parametrize("slot", ["role", "guidelines", "response_style", "extra"])
def test_one_slot_is_enough_not_to_be_empty(slot: str) -> None:
    assert not SystemPromptSlots(**{slot: "x"}).is_empty
