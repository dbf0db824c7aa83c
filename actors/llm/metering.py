"""The tokens of a model call that does not come to its end: what the provider has said of them, else an estimate.

Providers count what they have read and written of a call that was cancelled or cut off. Some say at the beginning how
much they have read; most say nothing before the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from actors.domain.calls import Emit, ModelCall
from actors.domain.messages import Message, TokenUsage
from actors.policy.sizes import BYTES_PER_TOKEN, estimate_tokens, weight

Tell = Callable[[TokenUsage], None]
"""Takes what a provider has said so far of a call's tokens. Said at all, it means that the model has begun."""


def untold(usage: TokenUsage) -> None:
    """For those who do not want to know."""
    del usage


class Meter:
    """Counts along with one attempt.

    Args:
        call: What is asked.
        emit: Where the pieces of the answer go on to.
    """

    def __init__(self, call: ModelCall, emit: Emit) -> None:
        self.messages: tuple[Message, ...] = ()
        self._call = call
        self._emit = emit
        self._said: TokenUsage | None = None
        self._written = 0

    def emit(self, channel: Literal["text", "thinking", "tool_input", "output"], text: str) -> None:
        """See ``Emit``."""
        self._written += len(text.encode())
        self._emit(channel, text)

    def tell(self, usage: TokenUsage) -> None:
        """See ``Tell``."""
        self._said = usage

    @property
    def usage(self) -> TokenUsage:
        """Tokens up to now; none before the model has begun."""
        if self._said is None and not self._written:
            return TokenUsage()
        said = self._said or TokenUsage()
        prompt = said.prompt_tokens or self._prompt_tokens()
        completion = max(said.completion_tokens, self._written // BYTES_PER_TOKEN)
        counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return said.model_copy(update=counts)

    def _prompt_tokens(self) -> int:
        tools = sum(estimate_tokens(tool.model_dump_json()) for tool in self._call.tools)
        return sum(map(weight, self.messages)) + estimate_tokens(self._call.system or "") + tools
