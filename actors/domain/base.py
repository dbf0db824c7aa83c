"""The base of every model: frozen, and closed to unknown keys."""

from __future__ import annotations

import unicodedata

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value: immutable, compared by content, refusing keys it does not know."""

    # What was refused is not repeated in the error: it may be a key that stands in the wrong place.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True)


def one_line(text: str) -> str:
    """The text when it is one line that can be shown anywhere: terminals and logs act on control characters.

    Raises:
        ValueError: it has a line end or another control character.
    """
    if any(unicodedata.category(character) in _CONTROL for character in text):
        raise ValueError("must be one line without control characters")
    return text


_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
