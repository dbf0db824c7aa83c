"""The base of every model: frozen, and closed to unknown keys."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any, Self, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value: immutable, compared by content, refusing keys it does not know."""

    # What was refused is not repeated in the error: it may be a key that stands in the wrong place.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), hide_input_in_errors=True)

    def __copy__(self) -> Self:
        """A shallow copy. The fold copies a state for every record, so it is pydantic's without its generality."""
        private = self.__pydantic_private__
        made = object.__new__(type(self))
        object.__setattr__(made, "__dict__", self.__dict__.copy())
        object.__setattr__(made, "__pydantic_extra__", None)
        object.__setattr__(made, "__pydantic_fields_set__", self.__pydantic_fields_set__.copy())
        object.__setattr__(made, "__pydantic_private__", private.copy() if private is not None else None)
        return made

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: nobody changes a value. Where one is a field's default, pydantic copies it for every new model."""
        return self


T = TypeVar("T")

MAX_LEVELS = 64
"""Of JSON that comes from outside. What is deeper than 200 in a record can be written, and never be read again."""


def is_deep(value: object) -> bool:
    """Whether JSON has more than ``MAX_LEVELS`` objects and arrays in each other."""
    level: list[Any] = [value]
    for _ in range(MAX_LEVELS):
        level = [inner for one in level for inner in _within(one)]
        if not level:
            return False
    return True


def shallow(value: T) -> T:
    """JSON that can be written and read back.

    Raises:
        ValueError: it has more than ``MAX_LEVELS`` levels.
    """
    if is_deep(value):
        raise ValueError(f"it has more than {MAX_LEVELS} levels")
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(shallow)]
"""A JSON object that somebody gives: of at most ``MAX_LEVELS`` levels."""


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return cast("dict[Any, Any]", value).values()
    return cast("list[Any]", value) if isinstance(value, list | tuple) else ()


def one_line(text: str) -> str:
    """The text when it is one line that can be shown anywhere: terminals and logs act on control characters.

    Raises:
        ValueError: it has a line end or another control character.
    """
    if any(unicodedata.category(character) in _CONTROL for character in text):
        raise ValueError("must be one line without control characters")
    return text


def as_one_line(text: str) -> str:
    """What of a text is one line that can be shown anywhere: see ``one_line``, which refuses all others."""
    shown = "".join(" " if character.isspace() else character for character in text)
    return " ".join("".join(one for one in shown if unicodedata.category(one) not in _CONTROL).split())


_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})
