"""What users say to have tools called: ``scripted/prompt`` takes it for its script."""

from __future__ import annotations

import json
from pathlib import Path

WEB, OWN = "web", "own"
"""MCP servers: one at a URL that all share, and one over stdio that belongs to a session."""

TOOLS = {
    "once": "append_once",
    "again": "append_again",
    "slow": "append_slowly",
    "web": f"mcp__{WEB}__append",
    "web again": f"mcp__{WEB}__again",
    "web asks": f"mcp__{WEB}__ask",
    "web samples": f"mcp__{WEB}__sample",
    "own": f"mcp__{OWN}__append",
    "own asks": f"mcp__{OWN}__ask",
    "own samples": f"mcp__{OWN}__sample",
}
"""The tool of each kind of turn."""

REPEATABLE = frozenset({"again", "slow", "web again"})
"""Kinds whose tools may run a second time."""

UNSAFE = frozenset(tool for kind, tool in TOOLS.items() if kind not in REPEATABLE)
"""Tools of which a second run would show."""

KINDS = {
    **{"plain": 4, "once": 6, "again": 3, "slow": 3, "batched": 2, "structured": 1},
    **{"web": 2, "web again": 2, "web asks": 7, "web samples": 3},
    **{"cancelled": 3, "paused": 2, "compacted": 2, "children": 1, "forks": 1},
}
"""How often each kind of turn comes.

A ``batched`` one has two calls of the unsafe tool and one of the other in a batch. Those that are ``cancelled``, or
``paused`` and resumed a moment later, are of one of the kinds ``STEERED``; ``compacted`` asks for a shorter context
too.
"""

OWN_KINDS = KINDS | {"own": 6, "own asks": 16, "own samples": 6}
"""The same for a user whose session has a server of its own."""

STEERED = ("once", "once", "slow", "web", "web asks", "web samples")

OWN_STEERED = (*STEERED, "own", "own asks", "own asks")

ANSWER = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
"""What a structured answer has to be."""


def prompt(kind: str, word: str, files: Path) -> str:
    """The prompt of a turn.

    Args:
        files: Where tools append: ``once`` for those that must not run twice, ``again`` for the others.
    """
    if kind in {"plain", "compacted"}:
        return f"said {word}"
    if kind == "structured":
        return json.dumps({"word": word})
    if kind == "batched":
        named = (("once", f"{word}1"), ("again", word), ("once", f"{word}2"))
        within = [{"tool": TOOLS[name], "args": _args(name, each, files)} for name, each in named]
        return f"/tool batch {json.dumps({'invocations': within})}\ndone {word}"
    return f"/tool {TOOLS[kind]} {json.dumps(_args(kind, word, files))}\ndone {word}"


def _args(kind: str, word: str, files: Path) -> dict[str, str]:
    return {"path": str(files / ("again" if kind in REPEATABLE else "once")), "word": word}
