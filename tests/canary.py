"""A text that only a session has, and a search for whoever still holds it in a process after the session has left.

Without Ray, and without a reference to the text: it is built from its parts whenever it is needed.
"""

from __future__ import annotations

import gc
from typing import Any

_CONTAINERS = (dict, list, tuple, set, frozenset)


def text_of(parts: tuple[str, str]) -> str:
    """The canary."""
    return "-".join(parts)


def holders(*canaries: tuple[str, str]) -> list[str]:
    """Objects of this process that hold one of the texts, as text or bytes, by their types."""
    gc.collect()
    needles = [text_of(parts) for parts in canaries]
    raw = [needle.encode() for needle in needles]
    found: list[str] = []

    def holds(held: Any) -> bool:
        if isinstance(held, str):
            return any(needle in held and held is not needle for needle in needles)
        if isinstance(held, bytes | bytearray):
            return any(needle in held and held is not needle for needle in raw)
        # The collector does not know containers that hold nothing but texts and numbers.
        return isinstance(held, _CONTAINERS) and not gc.is_tracked(held) and any(map(holds, gc.get_referents(held)))

    known = gc.get_objects()
    own = {id(one) for one in (known, needles, raw, found)}
    holding = (one for one in known if id(one) not in own and any(map(holds, gc.get_referents(one))))
    found += [f"{type(one).__module__}.{type(one).__qualname__}" for one in holding]
    return found
