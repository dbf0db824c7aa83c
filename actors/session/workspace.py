"""Where a session's tool calls run: with its files, on the node that had them when the first call began. Pure."""

from __future__ import annotations

from actors.domain import records as r
from actors.domain.actions import ActionKind
from actors.domain.records import Draft
from actors.domain.workspaces import Site, Whereabouts, Workspace
from actors.session.state import State
from actors.session.surroundings import Surroundings
from actors.session.tool_call import CallPhase
from actors.session.turn import Stage, Turn

_STARTABLE = frozenset({CallPhase.proposed, CallPhase.decided, CallPhase.in_doubt})


def path_of(state: State, around: Surroundings) -> str:
    """The directory that the session's tools work in."""
    return state.workspace.path if state.workspace else state.config.workspace or around.workspace


def whereabouts(state: State, around: Surroundings) -> Whereabouts:
    """What has to be known of the session's files: on which node they are, or that any node may have them."""
    path, bound = path_of(state, around), state.workspace
    if bound is None or bound.shared or around.shared_workspaces:
        return Whereabouts(path)
    return Whereabouts(path, bound.node, only=not state.workspace_given_up)


def site_of(state: State, around: Surroundings) -> Site | None:
    """Where tool calls run; None while it is not known."""
    site, wanted = around.site, whereabouts(state, around)
    if site is None or site.asked == wanted:
        return site
    # The session was tied to it meanwhile.
    same = site.host is not None and (site.asked.path, site.node) == (wanted.path, wanted.node)
    return site if same else None


def is_wanted(state: State, turn: Turn, around: Surroundings) -> bool:
    """Whether calls may have to start, now or once the model has answered, and nobody has said yet where."""
    if site_of(state, around) is not None:
        return False
    if turn.stage is Stage.calling:
        return any(spec.host is None for spec in around.tools.values())
    return any(
        call.phase in _STARTABLE and call.name in around.tools and around.tools[call.name].host is None
        for call in turn.calls
    )


def binding(state: State, turn: Turn, around: Surroundings, site: Site) -> Draft | None:
    """The record that ties the session to the site's node; None when it is tied already."""
    if state.workspace is not None and not state.workspace_given_up:
        return None
    data = Workspace(node=site.node, path=path_of(state, around), shared=around.shared_workspaces)
    return Draft(r.WorkspaceBound, data, turn.turn_id)


def is_asked_about(state: State) -> bool:
    """Whether somebody is to decide what becomes of a lost workspace."""
    return any(action.kind is ActionKind.workspace_lost for action in state.actions)


def loss(state: State, site: Site) -> str:
    """What a person is told who has to decide."""
    path = state.workspace.path if state.workspace else ""
    return (
        f"Node {site.node!r} with the workspace {path!r} is gone. Approve to go on: there when the node is back, else "
        "on another node, where the directory may be missing or another one. Reject to let the call fail."
    )
