"""Large results leave the records for artifacts, and a preview stays in their place. Pure.

Where every record passes on its way into an append, so it counts for whoever gave the result: the artifact's content
and the record that refers to it become durable in one transaction, or neither does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from actors.domain import records as r
from actors.domain.artifacts import MAX_SHOWN_BYTES, READ_ARTIFACT, Artifact, has_room, kept, preview
from actors.domain.messages import TextBlock
from actors.domain.records import Draft, ResultContent
from actors.session.state import State
from actors.session.tool_call import ToolCallState


class _Spilled(NamedTuple):
    content: ResultContent
    artifact: Artifact | None


def spilled(state: State, draft: Draft, blobs: dict[str, bytes]) -> Draft:
    """The draft, with the text of a result that is too large for a model moved to ``blobs``."""
    data = draft.data
    if isinstance(data, r.ToolCallCompleted.Data):
        if _is_own(state, data.index) or data.artifact is not None:
            return draft
        found = _spill(state, data.content, data.name, data.call_id, blobs)
    elif isinstance(data, r.ToolCallLate.Data):
        found = _spill(state, data.content, "", data.call_id, blobs)
    else:
        return draft
    if found is None:
        return draft
    return replace(draft, data=data.model_copy(update=found._asdict()))


def with_artifact(state: State, artifact: Artifact | None) -> State:
    """The state in which this artifact can be read too."""
    if artifact is None or any(one.artifact_id == artifact.artifact_id for one in state.artifacts):
        return state
    return state.model_copy(update={"artifacts": (*state.artifacts, artifact)})


def artifact_read_by(state: State, call: ToolCallState) -> Artifact | None:
    """The artifact that a call reads on in; only the session's own can be named."""
    wanted = call.args.get("artifact_id") if call.name == READ_ARTIFACT else None
    return next((one for one in state.artifacts if one.artifact_id == wanted), None)


def _is_own(state: State, index: int) -> bool:
    """Whether the session carries the call out by itself: what it puts together is of results that were bounded."""
    call = state.turn.calls[index] if state.turn is not None and index < len(state.turn.calls) else None
    return call is not None and call.own and not call.outside


def _spill(state: State, content: ResultContent, tool: str, call_id: str, blobs: dict[str, bytes]) -> _Spilled | None:
    parts = (TextBlock(text=content),) if isinstance(content, str) else content
    large = next((part for part in parts if isinstance(part, TextBlock) and _is_large(part.text)), None)
    if large is None:
        return None
    artifact = _keep(state, large.text, tool, call_id, blobs)
    short = preview(large.text, artifact)
    if isinstance(content, str):
        return _Spilled(short, artifact)
    return _Spilled(tuple(TextBlock(text=short) if part is large else part for part in content), artifact)


def _is_large(text: str) -> bool:
    # Counting bytes costs a copy, and four are the most that a character takes.
    return len(text) > MAX_SHOWN_BYTES // 4 and len(text.encode(errors="replace")) > MAX_SHOWN_BYTES


def _keep(state: State, text: str, tool: str, call_id: str, blobs: dict[str, bytes]) -> Artifact | None:
    made = kept(text, tool=tool, call_id=call_id)
    there = next((one for one in state.artifacts if one.digest == made.artifact.digest), None)
    if there is not None:
        # The journal of a fork's source may be the one that holds it: this one does from now on too.
        blobs |= made.blobs
        return there
    if not has_room(state.artifacts, made.artifact):
        return None
    blobs |= made.blobs
    return made.artifact
