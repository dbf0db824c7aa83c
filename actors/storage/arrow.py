"""The boundary between a session's folded state and Apache Arrow: the context as a table that others read in place.

Each message is a row, ``seq: int64`` (the record that brought it) and ``message: large_string`` (its JSON form). The
rest of the state is in the schema's metadata, so that a table is all that a fork needs of what it shares.
"""

from __future__ import annotations

from typing import Any, Final

from actors.session.ports import Store
from actors.session.state import Entry, State, from_snapshot, to_snapshot

_REST: Final = b"greenroom.state"
"""The key of the state without its context."""


def table_of(state: State) -> Any:
    """The state as a ``pyarrow.Table``."""
    import pyarrow as pa

    seqs = pa.array([entry.seq for entry in state.context], pa.int64())
    # The bytes are those of JSON: checking that they are UTF-8 is all that is done with them.
    messages = pa.array([entry.message for entry in state.context], pa.large_binary()).cast(pa.large_string())
    rest = to_snapshot(state.model_copy(update={"context": ()}))
    schema = pa.schema([("seq", pa.int64()), ("message", pa.large_string())], metadata={_REST: rest})
    return pa.Table.from_arrays([seqs, messages], schema=schema)


def state_of(table: Any) -> State:
    """The state that ``table_of`` was given."""
    import pyarrow as pa

    messages = table["message"].cast(pa.large_binary())
    context = tuple(map(Entry, table["seq"].to_pylist(), messages.to_pylist()))
    return from_snapshot(table.schema.metadata[_REST]).model_copy(update={"context": context})


async def table_at(store: Store, tenant: str, journal_id: str, upto: int | None) -> Any:
    """The table of a session's state at a seq (the head when None), made here from what the store answers."""
    return table_of(from_snapshot((await store.state(tenant, journal_id, upto=upto)).body))
