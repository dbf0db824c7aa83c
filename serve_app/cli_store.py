"""``greenroom backup``, ``restore`` and ``verify``: between a terminal and a database, without the service."""

from __future__ import annotations

from typing import Final

from actors.storage.copies import back_up, restore
from actors.storage.verify import Verification
from serve_app.cli_serve import settings_of
from serve_app.terminal import say

SHOWN_FINDINGS: Final = 1000
"""Findings that are printed; of more only the number is."""


def _place(data_dir: str | None) -> str:
    """The store that ``greenroom serve`` would use with the same option and environment."""
    settings = settings_of({"data_dir": data_dir} if data_dir else {})
    return str(settings.data_dir) if data_dir or not settings.store_url else settings.store_url


def back_up_to(file: str, data_dir: str | None) -> None:
    """Make a backup and say what is in it."""
    made = back_up(_place(data_dir), file)
    say(f"Store {made.store_id}, {made.sessions} sessions, {made.size:,} bytes: {made.path}")


def restore_from(file: str, data_dir: str | None, *, force: bool) -> None:
    """Restore a backup and say where it is now."""
    made = restore(file, _place(data_dir), force=force)
    say(f"Store {made.store_id}, {made.sessions} sessions, is restored: {made.path}")
    if made.replaced is not None:
        say(f"The database that was there is kept: {made.replaced}")


def verify_all(file: str | None, data_dir: str | None) -> bool:
    """Say what is wrong; True when nothing is."""
    verification = Verification(file or _place(data_dir))
    count = 0
    for count, finding in enumerate(verification, 1):
        if count <= SHOWN_FINDINGS:
            say(str(finding))
    read = f"{verification.sessions} sessions, {verification.records} records, {verification.blobs} blobs"
    say(f"{verification.location}: {read} read, {count or 'nothing'} wrong.")
    return not count
