"""Each guarantee names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
UNPROMISED = "## What is not guaranteed"

REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
STATEMENTS = re.split(r"^- ", PAGE.partition(UNPROMISED)[0], flags=re.MULTILINE)[1:]


@cache
def _names(path: Path) -> frozenset[str]:
    """What pytest finds at the top of a module: functions, classes, and what is assigned."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(found)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: re.sub(r"\W+", "-", text[:50]).strip("-"))
def test_a_guarantee_names_the_tests_that_show_it(statement: str) -> None:
    named = REFERENCE.findall(statement)

    assert statement.startswith("**")
    assert named
    for path, name in named:
        assert name.lower().startswith("test")
        assert name in _names(ROOT / path), f"{path} has no {name}"


def test_the_page_has_both_halves() -> None:
    assert len(STATEMENTS) > 15
    assert UNPROMISED in PAGE
    assert PAGE.count("`tests/") == len(REFERENCE.findall(PAGE))
