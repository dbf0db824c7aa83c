"""Names of things: how they are made, and what a valid one looks like.

Between what people type (session ids) and what storage relies on (journal ids, command ids, call ids).
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from datetime import UTC, datetime

from actors.errors import InvalidRequest, InvalidSessionId

MAX_SESSION_ID = 128
"""Longest session id in characters: it appears in URLs, log lines and index keys."""

MAX_COMMAND_ID = 128
"""Longest command id (idempotency key) in characters."""

_SESSION_ID = re.compile(r"[A-Za-z0-9_.-]+")
_LETTER_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}:\d+")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(one + two for one in _CROCKFORD for two in _CROCKFORD)

DEFAULT_TENANT = "default"


def check_session_id(session_id: str) -> str:
    """Return the id when it is valid.

    Raises:
        InvalidSessionId: empty, longer than 128, other characters than ASCII letters, digits, ``-``, ``_`` and
            ``.``, a dot in front, or two dots in a row.
    """
    if not session_id:
        raise InvalidSessionId(session_id, "is empty")
    if len(session_id) > MAX_SESSION_ID:
        raise InvalidSessionId(session_id, f"is longer than {MAX_SESSION_ID} characters")
    if not _SESSION_ID.fullmatch(session_id):
        raise InvalidSessionId(session_id, "has characters that are not allowed")
    if session_id.startswith("."):
        raise InvalidSessionId(session_id, "begins with a dot")
    if ".." in session_id:
        raise InvalidSessionId(session_id, "has two dots in a row")
    return session_id


def check_command_id(command_id: str) -> str:
    """Return the command id when it is 1 to 128 printable ASCII characters, else raise InvalidRequest.

    A journal id with a colon and a number behind it is how sessions name what they tell each other.
    """
    if not 0 < len(command_id) <= MAX_COMMAND_ID or not (command_id.isascii() and command_id.isprintable()):
        raise InvalidRequest(f"A command id has 1 to {MAX_COMMAND_ID} printable ASCII characters.")
    if _LETTER_ID.fullmatch(command_id):
        raise InvalidRequest("A command id of this form is one that sessions use among themselves; pick another.")
    return command_id


def check_tenant(tenant: str) -> str:
    """Return the tenant when it is a lower-case name of at most 64 characters, else raise InvalidRequest."""
    if not _TENANT.fullmatch(tenant):
        raise InvalidRequest(f"Tenant {tenant!r} is not a name of lower-case letters, digits, '-' and '_' (1 to 64).")
    return tenant


def new_ulid() -> str:
    """A ULID: 48 bits of milliseconds, then 80 random bits, as 26 Crockford base-32 characters.

    Sorts by time of making. Source: github.com/ulid/spec.
    """
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def call_id(journal_id: str, epoch: int, seq: int) -> str:
    """The identity of an effect call over all its attempts: where its first started record stands."""
    return f"{journal_id}:{epoch}:{seq}"


def derived_journal_ids(count: int, *parts: object) -> tuple[str, ...]:
    """Journal ids that are the same whenever they are made from the same parts, in ascending order.

    Shaped like a ULID: 22 characters that the parts decide, then the place in the list.
    """
    text = "\x1f".join(str(part) for part in parts)
    number = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=14).digest()) & ((1 << 110) - 1)
    stem = "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(105, -1, -5))
    return tuple(
        stem + "".join(_CROCKFORD[(place >> shift) & 31] for shift in (15, 10, 5, 0)) for place in range(count)
    )


def letter_id(journal_id: str, seq: int) -> str:
    """The identity of what a record of one session leads to in another: the cause of the records there."""
    return f"{journal_id}:{seq}"


def derived_id(prefix: str, *parts: object) -> str:
    """An opaque id that is the same whenever it is made from the same parts: ``prefix`` and 20 hex digits."""
    text = "\x1f".join(str(part) for part in parts)
    return f"{prefix}{hashlib.blake2b(text.encode(), digest_size=10).hexdigest()}"


def utc_now() -> datetime:
    """The present, in UTC. Only shells call this; the core takes time from records."""
    return datetime.now(UTC)
