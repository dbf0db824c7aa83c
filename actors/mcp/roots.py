"""The directories that a server is told to work in: one, a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from actors.domain.mcp import McpServerConfig
from actors.mcp.running import SHARED, Key
from actors.session.ports import Store
from actors.session.state import from_snapshot

if TYPE_CHECKING:
    from mcp_types import ListRootsResult


def roots_of(workspace: str) -> ListRootsResult:
    """The workspace as the only root."""
    from mcp_types import ListRootsResult

    found = Path(workspace)
    return ListRootsResult.model_validate({"roots": [{"uri": found.as_uri(), "name": found.name or "workspace"}]})


async def root_for(store: Store, key: Key, config: McpServerConfig) -> str:
    """The workspace of the session that a server is private to; empty when it is told of none, or of the runtime's."""
    if key.journal_id == SHARED or not config.roots:
        return ""
    return from_snapshot((await store.state(key.tenant, key.journal_id)).body).config.workspace
