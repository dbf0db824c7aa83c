"""Withholds what rules describe and what is known word for word, from whole texts and from texts that come in pieces.

What is decided about a place in a text depends on the character before it and on what follows, never on how the text
was cut: a stream holds back its end only while more of it could change what was decided there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from actors.domain.secret_rules import Rule, mark, rule_of
from actors.domain.security import Secret
from actors.policy.security.rules import RULES

KNOWN = "SECRET"
"""The label of texts that are known word for word."""

MIN_KNOWN = 8
"""Shorter values are words that stand everywhere, and no secrets."""

MAX_KNOWN = 16 * 1024
"""Of a longer value nothing is looked for: a stream would have to hold back as much."""


PIECE = 64 * 1024
"""Characters that are looked through at a time: nobody else runs in the process meanwhile."""


class Found(NamedTuple):
    """A place that is withheld, and what is read there instead. ``value``: by what it is known again; may be empty."""

    start: int
    end: int
    label: str
    replacement: str
    value: str = ""


class Finder(Protocol):
    """Finds what is withheld."""

    def find(self, text: str, start: int) -> Found | None:
        """The first place from ``start`` on."""
        ...

    def undecided(self, text: str, start: int) -> int | None:
        """The first place from ``start`` on that more text could make part of something that is withheld, or not."""
        ...


class Known:
    """Texts that are known word for word."""

    def __init__(self, values: Iterable[str]) -> None:
        chosen = {value for value in values if MIN_KNOWN <= len(value) <= MAX_KNOWN}
        self._values = sorted(chosen, key=lambda value: (-len(value), value))
        self._whole = re.compile("|".join(map(re.escape, self._values)) or r"(?!)")
        self._by_first: dict[str, list[str]] = {}
        for value in self._values:
            self._by_first.setdefault(value[0], []).append(value)
        self._first = re.compile(f"[{re.escape(''.join(self._by_first))}]" if self._by_first else r"(?!)")
        self._longest = max(map(len, self._values), default=0)

    def __bool__(self) -> bool:
        return bool(self._values)

    def find(self, text: str, start: int) -> Found | None:
        """See ``Finder.find``."""
        match = self._whole.search(text, start)
        return Found(match.start(), match.end(), KNOWN, mark(KNOWN)) if match else None

    def undecided(self, text: str, start: int) -> int | None:
        """See ``Finder.undecided``."""
        for match in self._first.finditer(text, max(start, len(text) - self._longest + 1)):
            if any(_begins(value, text, match.start()) for value in self._by_first[match.group()]):
                return match.start()
        return None


NOTHING_KNOWN = Known(())


def _begins(value: str, text: str, place: int) -> bool:
    """Whether the text ends within a value that begins at a place in it."""
    left = len(text) - place
    # Most are told by their first characters, without a copy of what may be long.
    return (
        left < len(value) and text.startswith(value[: min(left, MIN_KNOWN)], place) and value.startswith(text[place:])
    )


class Led:
    """Rules that begin with a certain text: places are looked at where one of these stands."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        compiled = [_Compiled.of(rule) for rule in rules]
        leads = sorted({one.rule.lead for one in compiled}, key=lambda lead: (-len(lead), lead))
        self._rules = {lead: [one for one in compiled if lead.startswith(one.rule.lead)] for lead in leads}
        self._leads = re.compile("|".join(map(re.escape, leads)) or r"(?!)")
        begun = sorted({lead[:end] for lead in leads for end in range(1, len(lead))})
        self._begun = re.compile(rf"(?:{'|'.join(map(re.escape, begun)) or '(?!)'})\Z")
        self._longest_lead = max(map(len, leads), default=0)

    def find(self, text: str, start: int) -> Found | None:
        """See ``Finder.find``."""
        for place, rules in self._places(text, start):
            for rule in rules:
                found = rule.found(rule.whole.match(text, place))
                if found is not None:
                    return found
        return None

    def undecided(self, text: str, start: int) -> int | None:
        """See ``Finder.undecided``."""
        for place, rules in self._places(text, start):
            if any(rule.begun.match(text, place) for rule in rules):
                return place
        match = self._begun.search(text, max(start, len(text) - self._longest_lead))
        return match.start() if match else None

    def _places(self, text: str, start: int) -> Iterator[tuple[int, list[_Compiled]]]:
        match = self._leads.search(text, start)
        while match is not None:
            yield match.start(), self._rules[match.group()]
            match = self._leads.search(text, match.start() + 1)


class Single:
    """A rule that begins with any of several characters."""

    def __init__(self, rule: Rule) -> None:
        self._rule = _Compiled.of(rule)
        self._needs = rule.needs
        self._longest = rule.longest

    def find(self, text: str, start: int) -> Found | None:
        """See ``Finder.find``."""
        if self._needs and text.find(self._needs, start) < 0:
            return None
        match = self._rule.whole.search(text, start)
        while match is not None:
            found = self._rule.found(match)
            if found is not None:
                return found
            match = self._rule.whole.search(text, match.start() + 1)
        return None

    def undecided(self, text: str, start: int) -> int | None:
        """See ``Finder.undecided``."""
        match = self._rule.begun.search(text, max(start, len(text) - self._longest))
        return match.start() if match else None


class _Compiled(NamedTuple):
    rule: Rule
    whole: re.Pattern[str]
    begun: re.Pattern[str]

    @classmethod
    def of(cls, rule: Rule) -> _Compiled:
        return cls(rule, re.compile(rule.whole), re.compile(rule.begun))

    def found(self, match: re.Match[str] | None) -> Found | None:
        length = self.rule.accept(match.group()) if match else 0
        if match is None or not length:
            return None
        value = self.rule.secret(match.group()[:length])
        return Found(match.start(), match.start() + length, self.rule.label, self.rule.replacement, value)


@lru_cache(maxsize=64)
def finders_of(kinds: tuple[Secret, ...], patterns: tuple[tuple[str, str], ...] = ()) -> tuple[Finder, ...]:
    """What finds these kinds, and what users describe."""
    rules = (*(rule for rule in RULES if rule.label in kinds), *(rule_of(*pattern) for pattern in patterns))
    led = [rule for rule in rules if rule.lead]
    return (Led(led), *(Single(rule) for rule in rules if not rule.lead))


class Stream:
    """One text in pieces. What it has held back so far is at most as long as the longest thing it could be.

    Attributes:
        counts: How many places were withheld, by label.
    """

    def __init__(self, finders: Sequence[Finder]) -> None:
        self.counts: Counter[str] = Counter()
        self._stages = [_Stage(finder, self.counts) for finder in finders]

    def feed(self, piece: str) -> str:
        """What may be read now."""
        for stage in self._stages:
            piece = stage.feed(piece)
        return piece

    def end(self) -> str:
        """What was held back."""
        piece = ""
        for stage in self._stages:
            piece = stage.feed(piece, last=True)
        return piece


class _Stage:
    """One finder over a text in pieces."""

    def __init__(self, finder: Finder, counts: Counter[str], values: dict[str, str] | None = None) -> None:
        self._finder = finder
        self._counts = counts
        self._values = {} if values is None else values
        self._before = ""
        self._held = ""

    def feed(self, piece: str, *, last: bool = False) -> str:
        if not piece and not last:
            return ""
        text = f"{self._before}{self._held}{piece}"
        start = len(self._before)
        shown: list[str] = []
        end = len(text) if last else self._open(text, start)
        found = self._finder.find(text, start)
        while found is not None and found.start < end:
            shown += (text[start : found.start], found.replacement)
            self._counts[found.label] += 1
            if found.value:
                self._values[found.value] = found.label
            start = found.end
            if start > end:
                end = self._open(text, start)
            found = self._finder.find(text, start)
        shown.append(text[start:end])
        self._before, self._held = text[max(end - 1, 0) : end], text[end:]
        return "".join(shown)

    def _open(self, text: str, start: int) -> int:
        place = self._finder.undecided(text, start)
        return len(text) if place is None else place


def redact(
    text: str,
    finders: Sequence[Finder],
    counts: Counter[str] | None = None,
    values: dict[str, str] | None = None,
) -> str:
    """The text without what is withheld; ``values`` gets that, with the labels."""
    counts = Counter[str]() if counts is None else counts
    for finder in finders:
        stage = _Stage(finder, counts, values)
        pieces = [stage.feed(text[start : start + PIECE]) for start in range(0, len(text) - PIECE, PIECE)]
        rest = text[len(pieces) * PIECE :]
        text = "".join((*pieces, stage.feed(rest, last=True)))
    return text
