"""How the parts of a runtime name and describe each other: plain values that the registry hands out."""

from __future__ import annotations

from pydantic import SecretStr

from actors.domain.base import Frozen
from actors.domain.calls import HostRef
from actors.domain.llm import LlmConfig
from actors.domain.mcp_oauth import DEFAULT_REDIRECT
from actors.domain.permissions import PermissionPolicy
from actors.domain.security import SecurityConfig
from actors.domain.stores import StorePlace
from actors.domain.tools import ToolDefinition


class Peer(Frozen):
    """An actor: its Ray name, the node it runs on, and its addresses on the data plane ("" where it has none).

    Attributes:
        near: For callers on its node: a Unix socket.
        far: For callers on other nodes: host and port.
    """

    name: str
    node_id: str
    near: str = ""
    far: str = ""


class HostPeer(Frozen):
    """An effect host and the actor that is it."""

    ref: HostRef
    peer: Peer


class Toolbox(Frozen):
    """The tools of one host.

    Attributes:
        node: The name of its node, by which workspaces are tied to it.
        sandbox: How its commands are confined, for people.
        placed: Tools that were given with these, and have hosts of their own for the resources they need.
    """

    host: HostPeer
    node: str
    definitions: tuple[ToolDefinition, ...]
    sandbox: str = ""
    placed: tuple[ToolDefinition, ...] = ()


class World(Frozen):
    """What session actors are told of the runtime; a new one, of a higher version, replaces the old.

    Attributes:
        redirect_uri: Where browsers come back to that visit the authorization page of an MCP server.
    """

    version: int = 0
    default_model: LlmConfig | None = None
    global_policy: PermissionPolicy | None = None
    security: SecurityConfig | None = None
    workspace: str = ""
    shared_workspaces: bool = False
    stores: tuple[StorePlace, ...] = ()
    redirect_uri: str = DEFAULT_REDIRECT


class RuntimeInfo(Frozen):
    """What a part, or a client, needs to take part in a runtime.

    Attributes:
        token: Of the data plane; random per runtime. Never logged.
        term: The registry's, for acquiring epochs.
        data_plane: False carries everything over Ray calls.
        tcp: Whether actors serve other nodes over TCP; None: when there are any.
    """

    runtime: str
    token: SecretStr
    store: Peer
    registry: Peer
    term: int
    world: World
    data_plane: bool = True
    tcp: bool | None = None
