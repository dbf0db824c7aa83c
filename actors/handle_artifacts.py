"""A session's artifacts, large results that are kept whole: the part of ``SessionHandle`` about them."""

from __future__ import annotations

from actors.domain.artifacts import MAX_ARTIFACT_BYTES, Artifact, cut_from, pieces_of
from actors.errors import ArtifactNotFound, InvalidRequest
from actors.handle_reads import SessionReads


class SessionArtifacts(SessionReads):
    """The part of ``SessionHandle`` that is about artifacts. Nothing here activates the session."""

    async def artifacts(self, *, at: int | None = None) -> tuple[Artifact, ...]:
        """The artifacts, oldest first, or those there were after the record with seq ``at``.

        Raises:
            InvalidRequest: the journal has no record ``at``.
        """
        return (await self._state(at)).artifacts

    async def artifact(self, artifact_id: str) -> Artifact:
        """One artifact.

        Raises:
            ArtifactNotFound: the session has none of this id.
        """
        for one in await self.artifacts():
            if one.artifact_id == artifact_id:
                return one
        raise ArtifactNotFound(artifact_id)

    async def read_artifact(
        self, artifact: str | Artifact, *, start: int = 0, length: int = MAX_ARTIFACT_BYTES
    ) -> bytes:
        """A range of an artifact's bytes, which are UTF-8; fewer at its end, none behind it.

        Args:
            artifact: It or its id; with it, the store is asked for the content only.
            start: The first byte's place, from 0.
            length: Bytes at most.

        Raises:
            ArtifactNotFound: the session has none of this id, or its content is gone with the session.
            InvalidRequest: a number is negative.
        """
        if start < 0 or length < 0:
            raise InvalidRequest("A range of an artifact begins at 0 or later, and has 0 bytes or more.")
        known = artifact if isinstance(artifact, Artifact) else await self.artifact(artifact)
        end = min(known.size, start + length)
        if start >= end:
            return b""
        blobs = await self._runtime.store.blobs(self._tenant, sorted(set(pieces_of(known, start, end))))
        try:
            return cut_from(known, blobs, start, end)
        except KeyError:
            raise ArtifactNotFound(known.artifact_id) from None
