"""The boundary between stored records and a session's state: folds a journal without activating its session.

Above is ``service``, which runs this in threads; below are a backend and the core's fold, known here by a protocol.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.domain.journal import Snapshot, StoredRecord
from actors.errors import InvalidRequest, RowCorrupt, SessionNotFound
from actors.storage.backend import Backend

log = logging.getLogger(__name__)

_REMEMBERED: Final = 64
"""Folded states that are kept: those of the sessions that people look at now; some hundred kilobytes each."""

_PAGE: Final = 1000


class Fold(Protocol):
    """How records make a state."""

    @property
    def version(self) -> int:
        """The version of the encoded form."""
        ...

    def initial(self) -> Any:
        """The state before the first record."""
        ...

    def apply(self, state: Any, record: StoredRecord) -> Any:
        """The state after one more record; the one before stays as it is."""
        ...

    def dump(self, state: Any) -> bytes:
        """The encoded form."""
        ...

    def load(self, body: bytes) -> Any:
        """The state of an encoded form of this version."""
        ...


class SessionFold:
    """The fold of ``actors.session``; what it needs is imported when it is first used."""

    def __init__(self) -> None:
        from actors.domain.records import decode_record
        from actors.session import fold, state

        self.version = state.SNAPSHOT_VERSION
        self.initial = state.initial
        self.dump = state.to_snapshot
        self.load = state.from_snapshot
        self._apply = fold.apply
        self._decode = decode_record

    def apply(self, state: Any, record: StoredRecord) -> Any:
        """See ``Fold.apply``."""
        return self._apply(state, self._decode(record.body))


@dataclass(frozen=True, slots=True)
class Folded:
    """A state, and the last record in it with its epoch."""

    seq: int
    epoch: int
    state: Any


class Folder:
    """Folds journals, going on from the nearest state that is known. Its methods block; any thread may call them.

    Args:
        backend: Where records and snapshots are.
        fold: How records make a state; the sessions' own when None.
    """

    def __init__(self, backend: Backend, fold: Fold | None = None) -> None:
        self._backend = backend
        self._given = fold
        self._known: OrderedDict[tuple[str, str], Folded] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, tenant: str, journal_id: str, upto: int | None) -> Snapshot:
        """``folded``, encoded."""
        folded = self.folded(tenant, journal_id, upto)
        fold = self._fold()
        return Snapshot(folded.seq, fold.version, folded.epoch, fold.dump(folded.state))

    def folded(self, tenant: str, journal_id: str, upto: int | None) -> Folded:
        """The fold of the records up to ``upto``, or up to the head when None or beyond it.

        Raises:
            SessionNotFound: No such journal.
            InvalidRequest: ``upto`` is less than 1.
        """
        if upto is not None and upto < 1:
            raise InvalidRequest("Records are numbered from 1.")
        row = self._backend.row(tenant, journal_id)
        if row is None:
            raise SessionNotFound(journal_id)
        target = row.head_seq if upto is None else min(upto, row.head_seq)
        folded = self._advance(self._fold(), tenant, journal_id, target)
        self._remember((tenant, journal_id), folded)
        return folded

    def forget(self, tenant: str, journal_id: str) -> None:
        """The journal was destroyed."""
        with self._lock:
            self._known.pop((tenant, journal_id), None)

    def _fold(self) -> Fold:
        if self._given is None:
            self._given = SessionFold()
        return self._given

    def _advance(self, fold: Fold, tenant: str, journal_id: str, target: int) -> Folded:
        start = self._nearest(fold, tenant, journal_id, target)
        seq, epoch, state = start.seq, start.epoch, start.state
        while seq < target:
            page = self._backend.records(tenant, journal_id, after=seq, limit=min(_PAGE, target - seq))
            if not page or page[-1].seq != seq + len(page):
                raise RowCorrupt(self._backend.identity.location, "records of a journal are missing")
            for record in page:
                state = fold.apply(state, record)
                seq, epoch = record.seq, record.epoch
        return Folded(seq, epoch, state)

    def _nearest(self, fold: Fold, tenant: str, journal_id: str, target: int) -> Folded:
        with self._lock:
            known = self._known.get((tenant, journal_id))
        if known is not None and known.seq <= target:
            return known
        kept = self._backend.snapshot(tenant, journal_id, upto=target)
        # A snapshot of another release says nothing that the records do not say.
        if kept is None or kept.version != fold.version:
            return Folded(0, 0, fold.initial())
        try:
            return Folded(kept.seq, kept.epoch, fold.load(kept.body))
        except ValueError:
            log.warning("the snapshot of journal %s cannot be read and is made again from its records", journal_id)
            return Folded(0, 0, fold.initial())

    def _remember(self, key: tuple[str, str], folded: Folded) -> None:
        with self._lock:
            known = self._known.pop(key, None)
            self._known[key] = folded if known is None or known.seq < folded.seq else known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
