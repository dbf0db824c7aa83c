"""What kind of document a session comes in. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from actors.domain.archive import MAX_ARCHIVE_BYTES, SessionArchive
from actors.errors import InvalidRequest
from actors.session.a3s import archive_of_image

MAX_DOCUMENT_BYTES = 2 * MAX_ARCHIVE_BYTES
"""Bytes of a document's text: what is in it, with blobs in base64 and JSON around it."""


def read_document(document: SessionArchive | Mapping[str, Any] | str | bytes) -> SessionArchive:
    """A document, whatever form it came in.

    Raises:
        InvalidRequest: it is none, it is damaged, or it is larger than 64 MiB.
    """
    if isinstance(document, SessionArchive):
        return document
    try:
        values = _values(document)
        if "format" not in values and "messages" in values:
            return archive_of_image(values)
        return SessionArchive.model_validate(values)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        raise InvalidRequest(f"This is no exported session: {where}: {first['msg']}.") from None


def _values(document: Mapping[str, Any] | str | bytes) -> Mapping[str, Any]:
    if isinstance(document, Mapping):
        return document
    if len(document) > MAX_DOCUMENT_BYTES:
        raise InvalidRequest(f"An exported session has at most {MAX_DOCUMENT_BYTES // 2**20} MiB as text.")
    try:
        values = json.loads(document)
    except (ValueError, RecursionError):
        raise InvalidRequest("This is no exported session: it is not JSON.") from None
    if not isinstance(values, dict):
        raise InvalidRequest("This is no exported session: it is no JSON object.")
    return cast("dict[str, Any]", values)
