"""What a runtime leaves behind: actors, sockets, objects, rows, files, processes of MCP servers."""

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
from tests.chaos.mcp_servers import server_processes
from tests.integration.processes import alive

GONE_S = 20.0
"""Processes, actors and objects need a few seconds to end on a loaded machine."""


async def remains(runtime: str, store: Path, directory: Path) -> dict[str, list[str]]:
    """What is left of a runtime that was closed, by kind.

    Args:
        directory: Of the round, by which its MCP servers are known.
    """
    return {
        "server": await in_the_end(lambda: servers(directory)),
        "file": files(store),
        "actor": await in_the_end(lambda: actor_names(f"{runtime}.")),
        "socket": await in_the_end(lambda: sockets(runtime)),
        "object": await in_the_end(_objects),
        "row": await asyncio.to_thread(rows, store),
    }


async def in_the_end(find: Callable[[], list[str]]) -> list[str]:
    """What is still found after a while; empty as soon as nothing is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GONE_S):
            while await asyncio.to_thread(find):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.1)
    return find()


def servers(directory: Path) -> list[str]:
    """Processes of MCP servers, and of those that watch over them."""
    return [str(pid) for pid in server_processes(directory, watched=True) if alive(pid)]


def files(store: Path) -> list[str]:
    """What is in the directory of a database beside it, its lock and its identity."""
    return sorted(one.name for one in store.iterdir() if not one.name.startswith(Path(FILE_NAME).stem))


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
