"""Patterns of users as rules: the part of regular expressions that can be followed without turning back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from actors.policy.security.rules import Rule, Run

MAX_REPEATS: Final = 256
"""Most of one repetition: it bounds what a stream holds back."""

MAX_RUNS: Final = 64

_CLASSES: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": r"\s"}
_WORD: Final = "A-Za-z0-9_"
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


def parsed(patterns: Iterable[tuple[str, str]]) -> list[Rule]:
    """The rules for those of (label, pattern) that can be followed; others are skipped."""
    return [rule for label, pattern in patterns if (rule := rule_of(label, pattern)) is not None]


def rule_of(label: str, pattern: str) -> Rule | None:
    """The rule for a pattern; None when it says more than a rule can."""
    inside = pattern.removeprefix(r"\b")
    before = _WORD if inside != pattern else ""
    core = inside.removesuffix(r"\b")
    after = _WORD if core != inside else ""
    runs: list[Run] = []
    place = 0
    while place < len(core):
        piece = _PIECE.match(core, place)
        if piece is None or len(runs) >= MAX_RUNS:
            return None
        times = _TIMES.match(core, piece.end())
        least, most = _bounds(times)
        if not least <= most <= MAX_REPEATS or most == 0:
            return None
        char = piece["escaped"] or piece["plain"] or ""
        runs.append(Run(_chars(piece), least, most, char if least == most == 1 else ""))
        place = times.end() if times else piece.end()
    if not runs or not runs[0].least:
        # What may be nothing at all would be everywhere.
        return None
    rule = Rule(label, tuple(runs), before=before, after=after)
    return rule if _compiles(rule) else None


def _bounds(times: re.Match[str] | None) -> tuple[int, int]:
    if times is None:
        return 1, 1
    if times["least"] is None:
        return {"?": (0, 1), "*": (0, MAX_REPEATS), "+": (1, MAX_REPEATS)}[times.group()]
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


def _compiles(rule: Rule) -> bool:
    try:
        re.compile(rule.begun + rule.whole)
    except (re.error, RecursionError):
        return False
    return True
