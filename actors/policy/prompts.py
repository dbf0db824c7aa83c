"""The instructions every model gets, put together from named slots; the same input always gives the same text."""

from __future__ import annotations

from actors.domain.base import Frozen

_IDENTITY = "You are a capable assistant that works in a session of its own and can use tools."

_CORE = """## Core Behaviour
Be accurate and direct. Say what you do not know. Never invent the result of a tool.

## Tool Usage Strategy
Use a tool when it gives facts that you lack or does what was asked; otherwise answer at once.
Look before you change anything, make small changes, and check them. A call that was rejected stays rejected.

## Completion Criteria
The task is done when what was asked for exists and was checked. Then say so, and stop."""

_FORMAT = """## Response Format
Answer in the language of the question. Keep it as short as the matter allows."""


class SystemPromptSlots(Frozen):
    """Parts of the system prompt that can be replaced or added.

    Attributes:
        role: Instead of the standard identity sentence.
        guidelines: A section of its own.
        response_style: Instead of the standard response format.
        extra: Added at the end.
    """

    role: str | None = None
    guidelines: str | None = None
    response_style: str | None = None
    extra: str | None = None

    @classmethod
    def from_legacy(cls, text: str) -> SystemPromptSlots:
        """A plain system prompt goes to ``extra`` and keeps the core."""
        return cls(extra=text)

    @property
    def is_empty(self) -> bool:
        """Whether no slot is set."""
        return not (self.role or self.guidelines or self.response_style or self.extra)

    def build(self) -> str:
        """The text: core with role, response style, guidelines, extra, joined by blank lines."""
        parts = [
            f"{self.role or _IDENTITY}\n\n{_CORE}",
            f"## Response Format\n{self.response_style}" if self.response_style else _FORMAT,
            f"## Guidelines\n{self.guidelines}" if self.guidelines else "",
            self.extra or "",
        ]
        return "\n\n".join(part for part in parts if part)


def system_prompt(extra: str | None) -> str:
    """The system prompt of a session that has this extra text."""
    return SystemPromptSlots(extra=extra).build()
