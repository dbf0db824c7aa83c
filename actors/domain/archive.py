"""One session as a document: its whole journal and the content its records refer to, without what is the store's own.

A document says nothing of the store and the tenant it comes from, and names no key, so the same session gives the
same document wherever it lives.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from actors.domain.base import Frozen
from actors.domain.blobs import digest_of
from actors.domain.ids import check_session_id
from actors.errors import GreenroomError

MAX_ARCHIVE_BYTES = 32 * 1024 * 1024
"""Bytes of the records and blobs of one document: it is held in memory whole, written in one transaction, and on its
way to the store one frame of the data plane, of which it is at most the half."""

_OF_THE_STORE = {"session.created": ("journal_id", "tenant"), "session.forked": ("journal_id",)}
"""By type of record, what of its data only means something in its store."""

_KEYS = "credential_id"
"""Names a key in the memory of one runtime."""


def _session_id(text: str) -> str:
    try:
        return check_session_id(text)
    except GreenroomError as refused:
        raise ValueError(refused.message) from None


def _contents(blobs: dict[str, str]) -> dict[str, str]:
    for digest, encoded in blobs.items():
        try:
            content = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise ValueError(f"blob {digest[:64]} is not base64") from None
        if digest_of(content) != digest:
            raise ValueError(f"blob {digest[:64]} has another content than its digest says")
    return blobs


class SessionArchive(Frozen):
    """A session as a document.

    Attributes:
        session_id: Its id where it was exported.
        records: Its journal from the first record on, each as in ``records()``.
        blobs: Large content that the records refer to, in base64 by its digest (hex SHA-256).
    """

    format: Literal["greenroom.session"] = "greenroom.session"
    version: Literal[1] = 1
    session_id: Annotated[str, AfterValidator(_session_id)]
    records: tuple[dict[str, Any], ...] = Field(min_length=1)
    blobs: Annotated[dict[str, str], AfterValidator(_contents)] = {}


def portable(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is its store's own."""
    return _with(record, "", "")


def settled(record: dict[str, Any], archived_id: str, session_id: str, journal_id: str, tenant: str) -> dict[str, Any]:
    """A record of a document as one of a session of this store: ``portable`` gives the document's back."""
    own = record.get("session_id") == archived_id
    return _with(record | {"session_id": session_id} if own else record, journal_id, tenant)


def _with(record: dict[str, Any], journal_id: str, tenant: str) -> dict[str, Any]:
    kind = str(record.get("type"))
    data = record.get("data")
    if not isinstance(data, dict) or not kind.startswith("session."):
        return record
    values = {"journal_id": journal_id, "tenant": tenant}
    return record | {"data": _keyless(data) | {name: values[name] for name in _OF_THE_STORE.get(kind, ())}}


def _keyless(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): None if key == _KEYS else _keyless(one) for key, one in value.items()}
    return value
