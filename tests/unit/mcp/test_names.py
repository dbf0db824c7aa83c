"""Published names of MCP tools."""

from __future__ import annotations

import pytest

from actors.errors import InvalidRequest
from actors.mcp.names import parsed, published


@pytest.mark.parametrize(
    ("name", "server", "tool"),
    [
        ("mcp__github__create_issue", "github", "create_issue"),
        ("mcp__my_server__my_tool", "my_server", "my_tool"),
        ("mcp__a__b__c", "a", "b__c"),
        ("mcp__a___b", "a", "_b"),
    ],
)
def test_a_name_is_taken_apart_at_the_first_double_underscore(name: str, server: str, tool: str) -> None:
    assert parsed(name) == (server, tool)
    assert published(server, tool) == name


@pytest.mark.parametrize("name", ["", "github__x", "mcp__github", "mcp__", "mcp____x", "mcp__a__"])
def test_what_is_no_name_of_a_tool_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        parsed(name)


def test_long_and_strange_names_are_made_acceptable_and_stay_apart() -> None:
    names = {published("s" * 32, tool) for tool in ("x" * 100, "x" * 101, "a.b", "a/b", "ä" * 60)}
    assert len(names) == 5
    assert all(len(name) <= 64 and name.isascii() for name in names)
