"""Large results of a session's tools, whole or in ranges."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from starlette.responses import Response

from actors.domain.artifacts import Artifact
from serve_app.dependencies import Manager, SessionId, answer
from serve_app.schemas.base import Items

router = APIRouter(tags=["artifacts"])

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")

_CONTENT: dict[str, Any] = {
    "text/plain": {"schema": {"type": "string"}},
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
}

ArtifactId = Annotated[str, Path(min_length=1, max_length=128, description="As it stands in the result.")]


@router.get("/v1/sessions/{session_id}/artifacts", response_model=Items[Artifact])
async def list_artifacts(session_id: SessionId, manager: Manager) -> Response:
    """Results that were too large for the model, or are no text, oldest first."""
    return answer(Items[Artifact](items=await manager.list_artifacts(session_id)))


@router.get(
    "/v1/sessions/{session_id}/artifacts/{artifact_id}",
    response_class=Response,
    responses={
        200: {"content": _CONTENT, "description": "All of it."},
        206: {"content": _CONTENT, "description": "The range."},
        416: {"description": "The range begins behind its end."},
    },
)
async def read_artifact(
    session_id: SessionId,
    artifact_id: ArtifactId,
    manager: Manager,
    wanted: Annotated[
        str | None, Header(alias="Range", max_length=256, description="One range of bytes, as bytes=0-65535.")
    ] = None,
) -> Response:
    """One, or a range of its bytes: a text, or what the list says it is."""
    session = await manager.get_session(session_id)
    artifact = await session.artifact(artifact_id)
    is_text = artifact.media_type is None
    # What a server calls its bytes is told in the list, and no browser acts on it.
    kind = "text/plain" if is_text else "application/octet-stream"
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{artifact.digest}"',
        "Content-Disposition": f'attachment; filename="{artifact.artifact_id}.{"txt" if is_text else "bin"}"',
        "X-Content-Type-Options": "nosniff",
    }
    start, end = _range(wanted, artifact.size) or (0, artifact.size)
    if start >= end:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{artifact.size}"})
    content = await session.read_artifact(artifact, start=start, length=end - start)
    if (start, end) == (0, artifact.size):
        return Response(content, headers=headers, media_type=kind)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{artifact.size}"
    return Response(content, 206, headers=headers, media_type=kind)


def _range(wanted: str | None, size: int) -> tuple[int, int] | None:
    """Where the wanted range begins and ends (the byte behind it); None for what is no single range of bytes."""
    found = _RANGE.fullmatch(wanted.strip()) if wanted is not None else None
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    start, last = int(found[1]), int(found[2]) if found[2] else size - 1
    return (start, min(last + 1, size)) if start <= last or start >= size else None
