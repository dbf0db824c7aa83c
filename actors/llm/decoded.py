"""Contexts of model calls, decoded: a conversation's next call decodes only the messages that are new."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from actors.domain.blobs import blobs_in
from actors.domain.calls import ModelCall
from actors.domain.messages import Message, decode_messages

MAX_BYTES: Final = 32 * 1024 * 1024
"""Encoded bytes of what is kept; decoded it takes about four times as much."""


class Decoded(NamedTuple):
    """A context. ``references``: digests of the content that its messages refer to."""

    encoded: tuple[bytes, ...]
    messages: tuple[Message, ...]
    references: frozenset[str]
    size: int


_NOTHING: Final = Decoded((), (), frozenset(), 0)


class DecodedContexts:
    """The last context of each of some conversations; those that were used least recently make room."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._of: OrderedDict[tuple[str, str], Decoded] = OrderedDict()

    def of(self, call: ModelCall) -> Decoded:
        """The context of a call. One that stands aside leaves what is kept of the conversation alone."""
        if call.aside:
            return _extended(_NOTHING, call.messages)
        key = (call.tenant, call.journal_id)
        before = self._of.pop(key, _NOTHING)
        self._bytes -= before.size
        found = _extended(before, call.messages)
        if found.size <= self._max_bytes:
            self._of[key] = found
            self._bytes += found.size
        while self._bytes > self._max_bytes:
            _, oldest = self._of.popitem(last=False)
            self._bytes -= oldest.size
        return found


def _extended(before: Decoded, encoded: tuple[bytes, ...]) -> Decoded:
    count = len(before.encoded)
    if encoded[:count] != before.encoded:
        before, count = _NOTHING, 0
    new = encoded[count:]
    if not new:
        return before
    messages = decode_messages(new)
    return Decoded(
        encoded,
        (*before.messages, *messages),
        before.references | blobs_in(messages),
        before.size + sum(map(len, new)),
    )
