"""Which stores are asked first, and where a new session goes."""

from __future__ import annotations

import pytest

from actors.domain.session import StorageType
from actors.domain.stores import StorePlace, by_precedence, chosen_store, store_like
from actors.errors import InvalidConfig

MEMORY, FILE, CUSTOM = StorageType.memory, StorageType.file, StorageType.custom

STORES = by_precedence(CUSTOM, [("scratch", MEMORY), ("team", CUSTOM), ("notes", FILE), ("more", FILE)])


def test_the_default_store_is_asked_first_and_what_lasts_before_what_does_not() -> None:
    assert [place.name for place in STORES] == ["default", "notes", "more", "team", "scratch"]


@pytest.mark.parametrize(
    ("kind", "name", "home"),
    [
        (None, None, "default"),
        (CUSTOM, None, "default"),
        (FILE, None, "notes"),
        (MEMORY, None, "scratch"),
        (None, "more", "more"),
        (FILE, "more", "more"),
        (CUSTOM, "team", "team"),
    ],
)
def test_a_new_session_goes_to_the_first_store_of_its_kind_or_to_the_one_it_names(
    kind: StorageType | None, name: str | None, home: str
) -> None:
    assert chosen_store(STORES, kind, name).name == home


@pytest.mark.parametrize(("kind", "name"), [(None, "none"), (MEMORY, "notes"), (MEMORY, "default")])
def test_a_store_that_there_is_not_is_refused_with_those_that_there_are(kind: StorageType | None, name: str) -> None:
    with pytest.raises(InvalidConfig, match=r"default \(custom\), notes \(file\)"):
        chosen_store(STORES, kind, name)


def test_an_arriving_session_goes_to_a_store_like_its_own_or_to_the_default_one() -> None:
    only = (StorePlace(name="default", kind=FILE),)

    assert store_like(STORES, MEMORY) == "scratch"
    assert (store_like(only, MEMORY), store_like(STORES, None)) == ("default", "default")
