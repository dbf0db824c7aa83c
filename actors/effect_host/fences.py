"""The newest epoch a host has seen of each journal: what an older activation asks for is refused."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from actors.effect_host.ports import REMEMBER_S, Clock
from actors.errors import Fenced, Overloaded

_EVICTION_STEPS = 64
"""How many fences one request looks at when it has to make room: bounds its time."""


class Fences:
    """Epochs by journal, bounded.

    A fence is forgotten only for room: the least recently used one, of a journal without calls, that nobody named
    for ten minutes. Forgetting it is safe as far as frames go, since none is that late; an actor that was frozen for
    longer has lost its connection and is refused by the store, whose commit has to precede each call.
    """

    def __init__(self, limit: int, clock: Clock, has_calls: Callable[[str], bool]) -> None:
        self._limit = limit
        self._clock = clock
        self._has_calls = has_calls
        self._epochs: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._epochs)

    def check(self, journal_id: str, epoch: int) -> None:
        """Raise Fenced when a newer epoch was seen."""
        current, _ = self._epochs.get(journal_id, (epoch, 0.0))
        if epoch < current:
            raise Fenced(journal_id, epoch, current)

    def admit(self, journal_id: str, epoch: int) -> None:
        """Check, then raise the fence to ``epoch``.

        Raises:
            Fenced: a newer epoch was seen.
            Overloaded: no room for another journal.
        """
        self.check(journal_id, epoch)
        if journal_id not in self._epochs and len(self._epochs) >= self._limit:
            self._make_room()
        self._epochs[journal_id] = (epoch, self._clock())
        self._epochs.move_to_end(journal_id)

    def _make_room(self) -> None:
        oldest_allowed = self._clock() - REMEMBER_S
        for _ in range(min(_EVICTION_STEPS, len(self._epochs))):
            journal_id, (_, used) = next(iter(self._epochs.items()))
            if used > oldest_allowed:
                break
            if not self._has_calls(journal_id):
                del self._epochs[journal_id]
                return
            self._epochs.move_to_end(journal_id)
        raise Overloaded("an effect host knows too many sessions", REMEMBER_S / 10)
