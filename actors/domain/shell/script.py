"""What was read from a line of bash."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command.

    Attributes:
        source: As it is written.
        text: What it is once quotes are taken away; None when that shows only as the line runs.
        operand: Whether a word of unknown text can be no option, and no two words of which one is an option.
    """

    source: str
    text: str | None
    operand: bool = False

    @classmethod
    def plain(cls, text: str) -> Word:
        """A word that is what it says."""
        return cls(shlex.quote(text), text)


UNKNOWN = Word("$?", None)
"""Words that come from elsewhere, none or many."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A variable that is given a value; ``value`` is None for one whose values come from a list, as in a loop."""

    name: str
    value: Word | None


@dataclass(frozen=True, slots=True)
class Redirection:
    """A file that is opened by ``<`` or ``>``; what goes to other descriptors, here-documents and /dev/null is none."""

    target: Word
    writes: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: its words, and the assignments before them. At least one word."""

    words: tuple[Word, ...]
    assignments: tuple[Assignment, ...] = ()
    source: str = ""

    @property
    def name(self) -> str | None:
        """The first word's text."""
        return self.words[0].text

    @property
    def literal(self) -> bool:
        """Whether all words are known."""
        return all(word.text is not None for word in self.words)

    @property
    def texts(self) -> tuple[str, ...]:
        """The words' texts, or what is written where they are not known."""
        return tuple(word.source if word.text is None else word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Script:
    """A line taken apart.

    Attributes:
        commands: All simple commands anywhere in it, in the order in which they are written.
        redirections: The files it opens by itself.
        assignments: Variables that it sets for itself, not for one command.
        certain: False when there may be more, or other things, than was read.
    """

    commands: tuple[Command, ...] = ()
    redirections: tuple[Redirection, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    certain: bool = True
