"""Where a session's files are, and where its tool calls run."""

from __future__ import annotations

from dataclasses import dataclass

from actors.domain.base import Frozen
from actors.domain.calls import HostRef


class Workspace(Frozen):
    """A directory that a session works in, from the first tool call on.

    Attributes:
        node: Name of the node that has it: the one that Ray was started with there, else the machine's host name.
        path: Absolute.
        shared: Every node sees the same files under this path, so that no node's loss matters.
    """

    node: str
    path: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a workspace may be.

    Attributes:
        node: Name of the node that has it; None: any node may.
        only: Nowhere else, also when that node is gone.
    """

    path: str
    node: str | None = None
    only: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """Where the tool calls of a workspace run.

    Attributes:
        asked: What this answers.
        node: Name of the node.
        host: Its tool host; None when the node is gone.
    """

    asked: Whereabouts
    node: str
    host: HostRef | None
