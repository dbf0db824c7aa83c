"""Boundary between the tools a host has and those who ask for them by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from actors.domain.tools import ToolDefinition, ToolOptions
from actors.errors import InvalidConfig
from actors.session.own_tools import OWN_TOOLS
from actors.tools.artifacts import ReadArtifactTool
from actors.tools.base import Tool
from actors.tools.bash import BashTool
from actors.tools.change import EditTool, PatchTool, WriteTool
from actors.tools.commands import Commands
from actors.tools.files import LsTool, ReadTool
from actors.tools.sandbox import Sandbox
from actors.tools.search import GlobTool, GrepTool
from actors.tools.worktree import GitWorktreeTool

MAX_TOOLS = 512
"""Tools of one host; providers take 128 in a request, and a session may choose among them."""


class ToolRegistry:
    """Tools by name. A name belongs to one tool; built-in tools cannot be replaced.

    Attributes:
        commands: How commands of tools are run.
    """

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self.commands = Commands()
        for tool in tools:
            self.register(tool)

    @classmethod
    def with_builtins(
        cls,
        environment: Mapping[str, str] | None = None,
        options: ToolOptions | None = None,
    ) -> ToolRegistry:
        """A registry of the built-in tools: files, search, bash, git working trees and the web. Tries the sandbox.

        Args:
            environment: Variables for commands beside the few that come from the host.
            options: What is chosen about them.

        Raises:
            InvalidConfig: A variable that must not reach commands, or no such search provider.
        """
        # An HTTP client is nothing for processes that only name the class.
        from actors.tools.web.fetch import WebFetchTool  # noqa: PLC0415
        from actors.tools.web.search import WebSearchTool, search_provider  # noqa: PLC0415

        options = options or ToolOptions()
        sandbox = Sandbox.find(options.sandbox, network=options.sandbox_network)
        files = [ReadArtifactTool(), ReadTool(), WriteTool(), EditTool(), PatchTool(), LsTool(), GlobTool(), GrepTool()]
        web = [WebFetchTool(), WebSearchTool(search_provider(options.web_search))]
        registry = cls([*files, *web, BashTool(environment, sandbox), GitWorktreeTool(environment, sandbox)])
        registry.commands = Commands(environment or {}, sandbox)
        return registry

    def register(self, tool: Tool) -> None:
        """Add a tool; it can be called at once.

        Raises:
            InvalidConfig: The name is taken, or there are ``MAX_TOOLS`` already.
        """
        name = tool.definition.name
        if name in self._tools or name in OWN_TOOLS:
            raise InvalidConfig(f"There is a tool {name!r} already. Unregister it first, or choose another name.")
        if len(self._tools) >= MAX_TOOLS:
            raise InvalidConfig(f"A host takes at most {MAX_TOOLS} tools.")
        self._tools[name] = tool

    def unregister(self, name: str) -> bool:
        """Take a tool away; False when there is none. Running calls go on."""
        return self._tools.pop(name, None) is not None

    def unregister_prefix(self, prefix: str) -> int:
        """Take away all tools whose names begin so, such as ``mcp__server__``; returns how many."""
        names = [name for name in self._tools if name.startswith(prefix)]
        for name in names:
            del self._tools[name]
        return len(names)

    def part_with(self, resources: Mapping[str, float]) -> tuple[ToolDefinition, ...]:
        """Keep the tools that need just these resources; the definitions of those that need others.

        Without any, these are all that need some; with some, the built-in tools go too, since each node has them.
        """
        others = [one.definition for one in self._tools.values() if one.definition.resources != dict(resources)]
        for one in others:
            del self._tools[one.name]
        return tuple(one for one in others if one.resources)

    def get(self, name: str) -> Tool | None:
        """The tool of this name."""
        return self._tools.get(name)

    def definitions(self) -> tuple[ToolDefinition, ...]:
        """All definitions by name, so that the same tools always make the same request."""
        return tuple(self._tools[name].definition for name in sorted(self._tools))

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[Tool]:
        return iter([self._tools[name] for name in sorted(self._tools)])

    def __len__(self) -> int:
        return len(self._tools)
