"""A backend whose appends wait for the test's word, so that what happens meanwhile is not left to chance."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from actors.domain.journal import Appended, AppendPart, Refused
from actors.errors import StoreUnavailable
from actors.storage.memory import MemoryBackend


class HeldBackend(MemoryBackend):
    """Memory whose appends run in a thread and wait until ``go`` is set; ``sizes`` are those of its commits."""

    blocks = True

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go = threading.Event()
        self.sizes: list[int] = []
        self.failing = False

    def append(self, parts: Sequence[AppendPart]) -> list[Appended | Refused]:
        self.entered.set()
        assert self.go.wait(30)
        self.sizes.append(len(parts))
        if self.failing:
            raise StoreUnavailable("the disk is full")
        return super().append(parts)
