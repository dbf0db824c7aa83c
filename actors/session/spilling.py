"""Large results, and bytes, leave the records for artifacts; a preview, or a line, stays in their place. Pure.

Where every record passes on its way into an append, so it counts for whoever gave the result: the artifact's content
and the record that refers to it become durable in one transaction, or neither does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from actors.domain import records as r
from actors.domain.artifacts import (
    MAX_SHOWN_BYTES,
    READ_ARTIFACT,
    Artifact,
    GivenFile,
    Kept,
    has_room,
    kept,
    kept_file,
    preview,
)
from actors.domain.messages import TextBlock
from actors.domain.records import Draft, ResultContent
from actors.session.state import State
from actors.session.tool_call import ToolCallState

Result = r.ToolCallCompleted.Data | r.ToolCallLate.Data


class _Spilled(NamedTuple):
    content: ResultContent
    artifact: Artifact | None


def spilled(state: State, draft: Draft, blobs: dict[str, bytes]) -> Draft:
    """The draft, with what of a result is too large for a model, or no text, moved to ``blobs``."""
    data = draft.data
    if isinstance(data, r.ToolCallCompleted.Data):
        if _is_own(state, data.index) or data.artifact is not None:
            return draft
        tool = data.name
    elif isinstance(data, r.ToolCallLate.Data):
        tool = ""
    else:
        return draft
    found = _spill(state, data.content, tool, data.call_id, blobs)
    if found is not None:
        data = data.model_copy(update=found._asdict())
        state = with_artifact(state, found.artifact)
    if draft.files:
        data = _with_files(state, data, draft.files, tool, blobs)
    return replace(draft, data=data, files=())


def with_artifact(state: State, artifact: Artifact | None) -> State:
    """The state in which this artifact can be read too."""
    if artifact is None or any(one.artifact_id == artifact.artifact_id for one in state.artifacts):
        return state
    return state.model_copy(update={"artifacts": (*state.artifacts, artifact)})


def artifact_read_by(state: State, call: ToolCallState) -> Artifact | None:
    """The artifact that a call reads on in; only the session's own can be named."""
    wanted = call.args.get("artifact_id") if call.name == READ_ARTIFACT else None
    return next((one for one in state.artifacts if one.artifact_id == wanted), None)


def with_artifacts(state: State, data: Result) -> State:
    """The state in which all that a result refers to can be read too."""
    for artifact in (data.artifact, *data.files):
        state = with_artifact(state, artifact)
    return state


def _with_files(state: State, data: Result, files: tuple[GivenFile, ...], tool: str, blobs: dict[str, bytes]) -> Result:
    """The result with bytes moved to ``blobs``, and a line about each for the model."""
    there: list[Artifact] = []
    lines = ""
    for file in files:
        made = kept_file(file, tool=tool, call_id=data.call_id)
        artifact = _room_for(state, made, blobs)
        where = f"kept as artifact {artifact.artifact_id}" if artifact is not None else "not kept: there is no room"
        lines += f"\n[{file.name}: {file.media_type}, {made.artifact.size} bytes, {where}]"
        if artifact is not None:
            there.append(artifact)
            state = with_artifact(state, artifact)
    content = data.content
    if isinstance(content, str):
        return data.model_copy(update={"content": (content + lines).lstrip("\n"), "files": tuple(there)})
    parts = (*content, TextBlock(text=lines.lstrip("\n")))
    return data.model_copy(update={"content": parts, "files": tuple(there)})


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
    return _room_for(state, kept(text, tool=tool, call_id=call_id), blobs)


def _room_for(state: State, made: Kept, blobs: dict[str, bytes]) -> Artifact | None:
    there = next((one for one in state.artifacts if one.digest == made.artifact.digest), None)
    if there is not None:
        # The journal of a fork's source may be the one that holds it: this one does from now on too.
        blobs |= made.blobs
        return there
    if not has_room(state.artifacts, made.artifact):
        return None
    blobs |= made.blobs
    return made.artifact
