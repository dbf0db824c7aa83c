"""The stores of a runtime: which there are, in which order they are asked, and where a new session goes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from actors.domain.base import Frozen
from actors.domain.session import StorageType
from actors.errors import InvalidConfig

DEFAULT_STORE: Final = "default"
"""Name of the store that every runtime has: for sessions that choose none, and for what belongs to no session."""

MAX_STORES: Final = 15
"""Stores beside the default one: each has a writer and readers of its own, and is asked when an id is looked up."""

_ORDER: Final = (StorageType.file, StorageType.custom, StorageType.memory)
"""Behind the default store: what lasts is asked before what does not."""


class StorePlace(Frozen):
    """A store of a runtime by its name, without its URL."""

    name: str
    kind: StorageType


def by_precedence(default: StorageType, others: Iterable[tuple[str, StorageType]]) -> tuple[StorePlace, ...]:
    """The stores in the order in which they are asked; those of one kind as they were given."""
    named = [StorePlace(name=name, kind=kind) for name, kind in others]
    first = StorePlace(name=DEFAULT_STORE, kind=default)
    return (first, *sorted(named, key=lambda place: _ORDER.index(place.kind)))


def chosen_store(stores: Sequence[StorePlace], kind: StorageType | None, name: str | None = None) -> StorePlace:
    """Where a new session goes: the store of a name, the first one of a kind, or the default one.

    Raises:
        InvalidConfig: there is no such store, or the one of this name is of another kind.
    """
    fits = [one for one in stores if kind in {None, one.kind} and name in {None, one.name}]
    if fits:
        return fits[0]
    there = ", ".join(f"{one.name} ({one.kind.value})" for one in stores)
    wanted = f"no store {name!r}" if name is not None else "no store"
    of_kind = f" of the kind {kind.value!r}" if kind is not None else ""
    raise InvalidConfig(f"This runtime has {wanted}{of_kind}, only: {there}. Name others in GREENROOM_STORES.")


def store_like(stores: Sequence[StorePlace], kind: StorageType | None) -> str:
    """Where a session goes that lived in a store of a kind elsewhere: into such a one, else the default store."""
    return next((one.name for one in stores if kind in {None, one.kind}), DEFAULT_STORE)
