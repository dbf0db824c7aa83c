"""Conversations that grow, between processes: whoever has the beginning is sent only the rest.

The side that receives keeps what it was given, in a bounded cache; the side that sends names the beginning it counts on
by its length and a digest of its bytes. A receiver that does not have it says so, and gets the whole: a cache that is
lost, too small, or stale costs time and nothing else.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from actors.domain.blobs import refers

MARKS: Final = 32
"""Lengths of one conversation whose digests are known: what readers that lag by a few turns hold."""

_DIGEST_BYTES: Final = 16


class Beginning(NamedTuple):
    """The first ``length`` messages of a conversation, by a digest of them."""

    length: int
    digest: bytes


NOTHING: Final = Beginning(0, b"")


class Context:
    """The encoded messages of a conversation. A value: ``grown`` makes another one.

    Attributes:
        messages: One compact JSON message each.
        size: Their bytes.
        references: Places of messages that refer to content which the store keeps apart.
    """

    __slots__ = ("_hash", "_marks", "messages", "references", "size")

    def __init__(self) -> None:
        self.messages: tuple[bytes, ...] = ()
        self.size = 0
        self.references: tuple[int, ...] = ()
        self._hash = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._marks: dict[int, bytes] = {}

    def __reduce__(self) -> tuple[Callable[[tuple[bytes, ...]], Context], tuple[tuple[bytes, ...]]]:
        """A running digest cannot be pickled; it follows from the messages."""
        return Context.of, (self.messages,)

    @classmethod
    def of(cls, messages: tuple[bytes, ...]) -> Context:
        """A conversation that nothing is known of yet."""
        return cls().grown(messages)

    def grown(self, messages: tuple[bytes, ...]) -> Context:
        """The conversation as it is now; where it begins with this one, only what is new is looked at."""
        count = len(self.messages)
        before = self if count and messages[:count] == self.messages else _EMPTY
        new = messages[len(before.messages) :]
        if not new:
            return before
        made = Context()
        made.messages = messages
        made.size = before.size + sum(map(len, new))
        start = len(before.messages)
        made.references = (*before.references, *(start + place for place, one in enumerate(new) if refers(one)))
        made._hash = before._hash.copy()
        for message in new:
            made._hash.update(len(message).to_bytes(4, "big"))
            made._hash.update(message)
        made._marks = {**before._marks, len(messages): made._hash.digest()}
        while len(made._marks) > MARKS:
            del made._marks[next(iter(made._marks))]
        return made

    @property
    def whole(self) -> Beginning:
        """All of it."""
        count = len(self.messages)
        return Beginning(count, self._marks[count]) if count else NOTHING

    def after(self, held: Beginning) -> tuple[Beginning, tuple[bytes, ...]]:
        """What to send to somebody who holds a beginning: that beginning, or none of it, and the messages after it."""
        if held.length and self._marks.get(held.length) == held.digest:
            return held, self.messages[held.length :]
        return NOTHING, self.messages

    def with_rest(self, base: Beginning, rest: tuple[bytes, ...]) -> Context | None:
        """The conversation that ``after`` described to a holder of this one; None when it builds on another."""
        if not base.length:
            return self.grown(rest)
        if self._marks.get(base.length) != base.digest:
            return None
        return self.grown((*self.messages[: base.length], *rest))


_EMPTY: Final = Context()


class Contexts:
    """The newest context of each of some conversations; those that were used least recently make room.

    Args:
        max_bytes: Bytes of all messages together. A single larger context is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._of: OrderedDict[str, Context] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of)

    def get(self, journal_id: str) -> Context:
        """What is kept of a conversation; an empty one when nothing is."""
        found = self._of.get(journal_id)
        if found is None:
            return _EMPTY
        self._of.move_to_end(journal_id)
        return found

    def put(self, journal_id: str, context: Context) -> None:
        """Keep a conversation in place of what was known of it."""
        self.drop(journal_id)
        if not 0 < context.size <= self._max_bytes:
            return
        self._of[journal_id] = context
        self._bytes += context.size
        while self._bytes > self._max_bytes:
            self.drop(next(iter(self._of)))

    def drop(self, journal_id: str) -> None:
        """Forget a conversation."""
        before = self._of.pop(journal_id, None)
        if before is not None:
            self._bytes -= before.size
