"""Directories that no store can be opened in, and the error that each is refused with."""

from __future__ import annotations

from pathlib import Path

from actors import errors

DAMAGED = b"this is no database " * 500

UNUSABLE: list[tuple[str, type[errors.StoreError]]] = [
    ("file in the way", errors.StoreNotWritable),
    ("damaged", errors.StoreCorrupt),
    ("removed", errors.StoreLost),
]


def make_unusable(directory: Path, how: str) -> None:
    """Prepare a directory that does not exist yet."""
    if how == "file in the way":
        directory.write_text("I am a file")
        return
    directory.mkdir()
    if how == "damaged":
        (directory / "greenroom.db").write_bytes(DAMAGED)
    else:
        (directory / "greenroom.store_id").write_text("01ARZ3NDEKTSV4RRFFQ69G5FAV\n")
