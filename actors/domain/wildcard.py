"""Patterns of permission rules, matched in one pass over the text.

``*`` is any run without a slash, ``**`` any run, ``**/`` any number of whole levels, ``?`` one character but a slash;
all else is literal, and the whole text has to fit. Texts come from models, so a match never backtracks: the pattern
is an automaton whose set of states is followed character by character, each step looked up once it is known.
"""

from __future__ import annotations

from enum import Enum, auto

_MAX_STEPS = 4096
"""Remembered steps of one pattern; a pattern of ten wildcards needs a few hundred."""


class _Token(Enum):
    run = auto()
    any_run = auto()
    levels = auto()
    one = auto()


class Wildcard:
    """A compiled pattern."""

    __slots__ = ("_end", "_literals", "_start", "_steps", "_tokens")

    def __init__(self, pattern: str) -> None:
        self._tokens = _tokens(pattern)
        self._end = len(self._tokens)
        self._literals = frozenset(token for token in self._tokens if isinstance(token, str)) | {"/"}
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._start = self._closure({0})

    def matches(self, text: str) -> bool:
        """Whether the whole text fits."""
        states = self._start
        for char in text:
            # Characters that the pattern does not name behave alike.
            key = (states, char if char in self._literals else "")
            after = self._steps.get(key)
            if after is None:
                after = self._step(*key)
                if len(self._steps) < _MAX_STEPS:
                    self._steps[key] = after
            if not after:
                return False
            states = after
        return self._end in states

    def _step(self, states: frozenset[int], char: str) -> frozenset[int]:
        fresh: set[int] = set()
        inside: set[int] = set()
        for state in states - {self._end}:
            token = self._tokens[state]
            if token is _Token.levels:
                # Only a slash ends a level; then the rest may begin, or another level.
                inside.add(state)
                if char == "/":
                    fresh.add(state + 1)
            elif token is _Token.any_run or (token is _Token.run and char != "/"):
                fresh.add(state)
            elif token == char or (token is _Token.one and char != "/"):
                fresh.add(state + 1)
        return self._closure(fresh) | inside

    def _closure(self, states: set[int]) -> frozenset[int]:
        """The states, and those reached by taking nothing."""
        found = set(states)
        todo = list(states)
        while todo:
            state = todo.pop()
            if state < self._end and self._tokens[state] in {_Token.run, _Token.any_run, _Token.levels}:
                if state + 1 not in found:
                    found.add(state + 1)
                    todo.append(state + 1)
        return frozenset(found)


def _tokens(pattern: str) -> tuple[_Token | str, ...]:
    found: list[_Token | str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
            token, taken = _Token.levels, 3
        elif pattern.startswith("**", at):
            token, taken = _Token.any_run, 3 if pattern.startswith("**/", at) else 2
        elif pattern[at] == "*":
            token, taken = _Token.run, 1
        elif pattern[at] == "?":
            token, taken = _Token.one, 1
        else:
            token, taken = pattern[at], 1
        at += taken
        if not (isinstance(token, _Token) and token is not _Token.one and found and found[-1] is token):
            found.append(token)
    return tuple(found)
