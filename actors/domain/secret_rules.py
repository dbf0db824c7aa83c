"""What texts look like that are withheld, and patterns of users as such rules. Pure; nothing here can backtrack.

A rule is a sequence of characters, each so many times. It is tried at a place once, every repetition takes all it can,
and none is longer than its bound: the time for a text is linear in its length, whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

WORD: Final = "A-Za-z0-9_"
"""The inside of a class: characters of words."""


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one class (the inside of ``[...]``), so many times. ``char``: the only one that it has."""

    chars: str
    least: int = 1
    most: int = 1
    char: str = ""

    @property
    def whole(self) -> str:
        """The expression for it."""
        if self.least == self.most == 1:
            return re.escape(self.char) if self.char else f"[{self.chars}]"
        return f"[{self.chars}]{{{self.least},{self.most}}}+"

    @property
    def begun(self) -> str:
        """The expression for as much of it as there is so far."""
        return f"[{self.chars}]{{0,{self.most}}}+"


Accept = Callable[[str], int]
"""How many characters of a match are meant; 0: it only looked like one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is withheld.

    Attributes:
        before, after: Classes of characters that do not stand in front of it, and behind it.
        accept: Looks at what was found.
        shown: What takes its place, around ``{}`` for the label.
        needs: A text without these characters has none of it.
        secret: Of what was found, the part that is to be known again.
    """

    label: str
    runs: tuple[Run, ...]
    before: str = WORD
    after: str = ""
    accept: Accept = len
    shown: str = "{}"
    needs: str = ""
    secret: Callable[[str], str] = str

    @property
    def lead(self) -> str:
        """The text with which it always begins."""
        return "".join(run.char for run in takewhile(lambda run: run.char, self.runs))

    @property
    def longest(self) -> int:
        """Characters that it has at most."""
        return sum(run.most for run in self.runs)

    @property
    def replacement(self) -> str:
        """What is read in its place."""
        return self.shown.format(mark(self.label))

    @property
    def whole(self) -> str:
        """The expression that finds it. What comes before is looked at last: a search skips to the beginning."""
        if self.lead:
            first, rest = re.escape(self.lead), self.runs[len(self.lead) :]
        else:
            head = self.runs[0]
            first, more = f"[{head.chars}]", Run(head.chars, head.least - 1, head.most - 1)
            rest = (more, *self.runs[1:]) if head.most > 1 else self.runs[1:]
        front = f"(?<![{self.before}]{first})" if self.before else ""
        behind = f"(?![{self.after}])" if self.after else ""
        return first + front + "".join(run.whole for run in rest) + behind

    @property
    def begun(self) -> str:
        """The expression that finds where, at the end of a text, what follows decides whether it is there."""
        *first, last = self.runs
        found = rf"{last.begun}\Z"
        for run in reversed(first):
            found = rf"(?:{run.begun}\Z|{run.whole}{found})"
        front = f"(?<![{self.before}])" if self.before else ""
        # At least one character of it is there.
        return rf"{front}(?!\Z){found}"


def mark(label: str) -> str:
    """What stands for a text that is withheld."""
    return f"[REDACTED:{label}]"


def literal(text: str) -> tuple[Run, ...]:
    """Exactly this text."""
    return tuple(Run(re.escape(char).replace("^", r"\^"), char=char) for char in text)


# --- patterns of users ----------------------------------------------------------------------------------------------

MAX_REPEATS: Final = 256
"""Most of one repetition, and of all of a pattern together: it bounds what a stream holds back."""

OPEN_REPEATS: Final = 64
"""How often ``+`` and ``*`` take at most."""

MAX_TOGETHER: Final = 1024
"""Characters that the patterns of one configuration fit at most, all together.

The time for a text is its length times this, whatever stands in it: 4 ms for a KB at worst.
"""

_CLASSES: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": r"\s"}
_PIECE: Final = re.compile(
    r"""(?P<set>\[\^?(?:\\.|[^\]\\\[])+\])   # a class
      | \\(?P<class>[dws])
      | \\(?P<escaped>[^A-Za-z0-9])
      | (?P<any>\.)
      | (?P<plain>[^\\\[\](){}|^$.?*+])
    """,
    re.VERBOSE,
)
_TIMES: Final = re.compile(r"\?|\*|\+|\{(?P<least>\d{1,3})(?:(?P<comma>,)(?P<most>\d{1,3})?)?\}")


def rule_of(label: str, pattern: str) -> Rule:
    """The rule for a pattern.

    Raises:
        ValueError: it says more than a rule can, or nothing.
    """
    inside = pattern.removeprefix(r"\b")
    core = inside.removesuffix(r"\b")
    runs = tuple(_runs(label, core))
    if not runs or not runs[0].least:
        raise ValueError(f"pattern {label} may fit nothing at all: say what it surely begins with")
    rule = Rule(label, runs, before=WORD if inside != pattern else "", after=WORD if core != inside else "")
    if rule.longest > MAX_REPEATS:
        raise ValueError(f"pattern {label} fits {rule.longest} characters, and {MAX_REPEATS} are the most")
    try:
        re.compile(rule.begun + rule.whole)
    except re.error:
        raise ValueError(f"pattern {label} has a class that cannot be read") from None
    return rule


def _runs(label: str, core: str) -> Iterator[Run]:
    place = 0
    while place < len(core):
        piece = _PIECE.match(core, place)
        if piece is None:
            raise ValueError(
                f"pattern {label} cannot be followed from its character {place + 1} on. It may have literal text, "
                r"[classes], \d \w \s . each once or with {m,n} ? + *, and \b at either end"
            )
        times = _TIMES.match(core, piece.end())
        least, most = _bounds(times)
        if not least <= most <= MAX_REPEATS or most == 0:
            raise ValueError(f"pattern {label} repeats something more than {MAX_REPEATS} times, or never")
        char = piece["escaped"] or piece["plain"] or ""
        yield Run(_chars(piece), least, most, char if least == most == 1 else "")
        place = times.end() if times else piece.end()


def _bounds(times: re.Match[str] | None) -> tuple[int, int]:
    if times is None:
        return 1, 1
    if times["least"] is None:
        return {"?": (0, 1), "*": (0, OPEN_REPEATS), "+": (1, OPEN_REPEATS)}[times.group()]
    least = int(times["least"])
    if times["most"] is not None:
        return least, int(times["most"])
    return least, MAX_REPEATS if times["comma"] else least


def _chars(piece: re.Match[str]) -> str:
    if piece["set"] is not None:
        return piece["set"][1:-1]
    if piece["class"] is not None:
        return _CLASSES[piece["class"]]
    if piece["any"] is not None:
        return r"^\n"
    char = piece["escaped"] or piece["plain"]
    return re.escape(char).replace("^", r"\^")
