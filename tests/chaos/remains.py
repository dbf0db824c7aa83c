"""What a runtime leaves behind: actors, sockets, objects, rows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import ray

from actors.channel import socket_directory
from actors.cluster.links import actor_names
from actors.domain.ids import utc_now
from actors.storage.open import open_backend
from actors.storage.schema import META, METADATA
from actors.storage.sqlite import FILE_NAME

GONE_S = 20.0
"""Processes, actors and objects need a few seconds to end on a loaded machine."""


async def remains(runtime: str, store: Path) -> dict[str, list[str]]:
    """What is left of a runtime that was closed, by kind."""
    return {
        "actor": await _in_the_end(lambda: actor_names(f"{runtime}.")),
        "socket": await _in_the_end(lambda: sockets(runtime)),
        "object": await _in_the_end(_objects),
        "row": await asyncio.to_thread(rows, store),
    }


async def _in_the_end(find: Callable[[], list[str]]) -> list[str]:
    with suppress(TimeoutError):
        async with asyncio.timeout(GONE_S):
            while await asyncio.to_thread(find):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.1)
    return find()


def sockets(runtime: str) -> list[str]:
    """Sockets of a runtime that is over."""
    directory = socket_directory(runtime)
    found = [one.name for one in directory.iterdir()]
    if not found:
        directory.rmdir()  # Made by asking for it.
    return found


def _objects() -> list[str]:
    """How many bytes of Ray's object store are in use."""
    everything, free = ray.cluster_resources(), ray.available_resources()
    used = everything["object_store_memory"] - free.get("object_store_memory", 0.0)
    return [f"{used:.0f} bytes"] if used else []


def rows(store: Path) -> list[str]:
    """Rows of the sessions that were destroyed, once all that is to be forgotten has been.

    Housekeeping does that a little at a time; a day later it also forgets which commands there were.
    """
    with closing(open_backend(str(store))) as backend:
        while backend.purge(utc_now() + timedelta(hours=25)):
            pass
    with closing(sqlite3.connect(store / FILE_NAME)) as connection:
        counts = {
            table.name: connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
            for table in METADATA.sorted_tables
            if table is not META
        }
    return [f"{count} in {table}" for table, count in counts.items() if count]
