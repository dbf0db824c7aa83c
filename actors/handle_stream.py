"""One turn as it happens: a view of a session's events from an input to the end of the turn that takes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from actors.domain.events import Event
from actors.domain.records import TURN_ENDS, InputWithdrawn, TurnStarted, TurnSteered
from actors.domain.turns import AgentResult, Receipt
from actors.handle_reads import SessionReads
from actors.output_types import OutputType


class TurnStream:
    """The events of one turn, as they happen. Iterate once; stopping early does not end the turn."""

    def __init__(
        self,
        session: SessionReads,
        receipt: Receipt,
        cancel: Callable[[], Awaitable[bool]],
        output_type: OutputType | None = None,
    ) -> None:
        self._session = session
        self._cancel = cancel
        self._output_type = output_type
        self.receipt = receipt

    async def __aiter__(self) -> AsyncIterator[Event]:
        turn_id: str | None = None
        wanted = self.receipt.input_id
        async with aclosing(self._session.turn_events(self.receipt)) as events:
            async for event in events:
                if isinstance(event, TurnStarted | TurnSteered) and wanted in event.data.inputs:
                    turn_id = event.turn_id
                about = getattr(event, "turn_id", None)
                if (turn_id is not None and about in {None, turn_id}) or _is_input(event, wanted):
                    yield event
                if turn_id is not None and isinstance(event, TURN_ENDS) and about == turn_id:
                    return
                if isinstance(event, InputWithdrawn) and event.data.input_id == wanted:
                    return

    async def result(self, *, timeout: float | None = None) -> AgentResult:
        """The answer; see ``SessionHandle.generate`` for the errors."""
        return await self._session.wait_turn(self.receipt, timeout=timeout, output_type=self._output_type)

    async def cancel(self) -> bool:
        """End the turn; False when it is over."""
        return await self._cancel()


def _is_input(event: Event, input_id: str) -> bool:
    return getattr(getattr(event, "data", None), "input_id", None) == input_id
