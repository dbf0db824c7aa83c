"""The artifacts of sessions: the part of ``SessionManager`` about them."""

from __future__ import annotations

from actors.domain.artifacts import MAX_ARTIFACT_BYTES, Artifact
from actors.manager_lookup import SessionLookup


class ArtifactOperations(SessionLookup):
    """What ``SessionManager`` does with artifacts."""

    async def list_artifacts(self, session_id: str) -> tuple[Artifact, ...]:
        """See ``SessionHandle.artifacts``."""
        return await (await self._session(session_id)).artifacts()

    async def read_artifact(
        self, session_id: str, artifact_id: str, *, start: int = 0, length: int = MAX_ARTIFACT_BYTES
    ) -> bytes:
        """See ``SessionHandle.read_artifact``."""
        return await (await self._session(session_id)).read_artifact(artifact_id, start=start, length=length)
