"""Sessions as documents: the part of ``SessionManager`` that takes them out of a store and into one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from actors.checks import checked_config
from actors.domain.archive import SessionArchive
from actors.domain.command import digest_of_json
from actors.domain.ids import check_command_id, check_session_id, new_ulid, utc_now
from actors.domain.journal import NewSession
from actors.domain.session import SessionConfig
from actors.domain.stores import store_like
from actors.handle import SessionHandle
from actors.manager_lookup import SessionLookup
from actors.model_choice import with_known_model
from actors.reading.archive import archive_of
from actors.session.arriving import arrival
from actors.session.documents import read_document


class ArchiveOperations(SessionLookup):
    """What ``SessionManager`` does with exported sessions."""

    async def export_session(self, session_id: str) -> SessionArchive:
        """The whole session as one document; ``model_dump_json()`` is its text. Nothing is woken or changed.

        It holds the journal and the content that it refers to, but no key, and nothing of the store: an imported
        session is exported again as the same document, unless something of it was under way.

        Raises:
            SessionNotFound.
            InvalidRequest: it is larger than 32 MiB.
        """
        return await archive_of(self._runtime.store, await self.get_info(session_id))

    async def import_session(
        self,
        document: SessionArchive | Mapping[str, Any] | str | bytes,
        session_id: str | None = None,
        *,
        command_id: str | None = None,
    ) -> SessionHandle:
        """Create a session from a document: an exported one, or a session file of A3S Code.

        It has the journal of the document, with conversation, configuration, usage and task list. What was under way
        stays where it was: an open turn is closed as cancelled, its running calls as unknown, and nobody waits for
        anybody; the record ``session.imported`` says so. Keys are not in documents: ``configure`` gives the model's.
        It makes new sessions only, and never changes one that exists. It lives in the first store of the kind that its
        configuration names, else in the default one.

        Args:
            document: As an object, as JSON, or as what JSON gives.
            session_id: The id it gets; the document's when None.
            command_id: Idempotency key: the same key never makes a second session.

        Raises:
            InvalidRequest: it is no such document, it is damaged, or it is larger than 32 MiB. Nothing is written.
            InvalidSessionId, SessionExists, UnknownProvider, InvalidConfig, CommandConflict: as for
                ``create_session``.
        """
        cause = check_command_id(command_id) if command_id else new_ulid()
        # A large one takes a second to read and fold, which others need not wait for.
        name, digest, new, config = await asyncio.to_thread(self._arrival, document, session_id, cause)
        # Its workspace may be on another machine: what is not here is asked about when a tool needs it.
        await with_known_model(self._runtime, checked_config(config))
        home = store_like(self._runtime.stores, config.storage_type)
        if await self._runtime.store.create(self.tenant, cause, digest, [new], store=home):
            return SessionHandle(self._runtime, new.row)
        return await self._session(name)

    def _arrival(
        self, document: SessionArchive | Mapping[str, Any] | str | bytes, session_id: str | None, cause: str
    ) -> tuple[str, str, NewSession, SessionConfig]:
        archive = read_document(document)
        name = check_session_id(session_id if session_id is not None else archive.session_id)
        new, config = arrival(archive, name, tenant=self.tenant, journal_id=new_ulid(), now=utc_now(), cause=cause)
        return name, digest_of_json(["import", name, archive.model_dump(mode="json")]), new, config
