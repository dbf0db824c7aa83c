"""``greenroom export`` and ``import``: between files and the sessions of a service."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.errors import GreenroomError, InvalidRequest
from serve_app.client import ServiceClient, session_path
from serve_app.terminal import say, say_error


def export_to(client: ServiceClient, session_id: str, file: str | None) -> None:
    """Write a session's document to a new file, which only its owner may read, or to standard output."""
    document = json.dumps(client.call("GET", session_path(session_id, "/export")), ensure_ascii=False)
    if file is None:
        sys.stdout.write(document + "\n")
        return
    try:
        new = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(new, "w", encoding="utf-8") as out:
            out.write(document)
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be written: {error.strerror}.") from None
    say(f"Session {session_id}: {file}")


def import_all(client: ServiceClient, files: Sequence[str], session_id: str | None) -> bool:
    """Make a session of each file, and say which could not be; True when all could."""
    if session_id is not None and len(files) > 1:
        raise InvalidRequest("--id names one session: give one file.")
    failed = 0
    for file in files:
        try:
            info = client.call(
                "POST",
                "/v1/sessions/import",
                body=_document(file),
                params={"session_id": session_id} if session_id is not None else {},
            )
            say(f"{file}: session {info['session_id']}")
        except GreenroomError as error:
            failed += 1
            say_error(f"{file}: {error.message}")
    return not failed


def _document(file: str) -> object:
    try:
        return json.loads(Path(file).read_bytes())
    except OSError as error:
        raise InvalidRequest(f"it cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise InvalidRequest("it is not JSON") from None
