"""What a reader of a session gets: committed records, and between them deltas that are not journaled."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from actors.domain.base import Frozen
from actors.domain.records import Record


class MessageDelta(Frozen):
    """A piece of the message that a model is writing.

    Attributes:
        seq: Place of the call's started record; with ``index`` it is the delta's cursor.
        index: Counts pieces within the attempt.
    """

    type: Literal["message.delta"] = "message.delta"
    session_id: str
    turn_id: str | None
    call_id: str
    attempt: int
    seq: int
    index: int
    channel: Literal["text", "thinking", "tool_input"]
    text: str


class ToolOutputDelta(Frozen):
    """A piece of a running tool's output."""

    type: Literal["tool.output.delta"] = "tool.output.delta"
    session_id: str
    turn_id: str | None
    call_id: str
    attempt: int
    seq: int
    index: int
    name: str
    text: str


class PersistenceFailed(Frozen):
    """The store cannot be reached, or cannot write the session's records.

    What the session does is kept back until it can, and then shown.
    """

    type: Literal["session.persistence_failed"] = "session.persistence_failed"
    session_id: str
    at: datetime
    error: str


class TreeJoined(Frozen):
    """In the stream of a session and all below it: from here on this session is read as well, after record ``seq``."""

    type: Literal["tree.joined"] = "tree.joined"
    session_id: str
    parent_id: str | None
    seq: int


Event = Record | MessageDelta | ToolOutputDelta | PersistenceFailed | TreeJoined
