"""Between a host and what carries its calls out: nothing that is withheld gets past here, in a piece or an outcome.

What comes out of a call is changed before anybody can read or keep it. What goes in, the arguments of a tool, is not.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from actors.domain.asking import Resume
from actors.domain.calls import Delta, Emit, Reconciled, ToolCall, ToolOutcome
from actors.effect_host.cleaning import cleaned, refused
from actors.effect_host.entry import Channel
from actors.effect_host.ports import Call, CallResult, Executor
from actors.errors import SecurityUnavailable
from actors.inspection.inspectors import Inspectors
from actors.policy.security.guard import Collector, Guard
from actors.policy.security.redaction import MIN_KNOWN, Known, Stream

IN_THREAD_CHARS: Final = 64 * 1024
"""Longer results are looked through beside the event loop: some 10 ms for 100 KB."""

MAX_KEPT_CHARS: Final = 1024 * 1024
"""Of the pieces of a call that are shown at its end; what comes after that is in its outcome alone."""

_NAMED_SECRET: Final = re.compile(
    r"(?:.*_)?(?:API_?KEYS?|ACCESS_KEY|SECRET_KEY|PRIVATE_KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE)(?:_ID)?",
    re.IGNORECASE,
)
_IN_ADDRESS: Final = re.compile(r"://[^\s:/@]{0,128}:([^\s/@]{1,256})@")


def secrets_of(environment: Mapping[str, str]) -> set[str]:
    """The values of an environment that are secrets by their names, and passwords in its addresses."""
    named = {value for name, value in environment.items() if _NAMED_SECRET.fullmatch(name)}
    parts = {part.strip() for value in named for part in value.split(",")}
    return named | parts | {found for value in environment.values() for found in _IN_ADDRESS.findall(value)}


def _forms(value: str) -> Iterator[str]:
    """A secret as it is, and as it stands in JSON, in an address, and in what encodes it from its beginning on."""
    yield value
    yield json.dumps(value)[1:-1]
    yield quote(value, safe="")
    raw = value.encode(errors="replace")
    yield raw.hex()
    # The last characters depend on what follows it.
    whole = raw[: len(raw) // 3 * 3]
    if len(value) >= MIN_KNOWN:
        yield from (base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode())


class Vault:
    """Secrets of this process and of whoever is served here, in memory only: no outcome tells them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = {*values, *secrets_of(os.environ)}
        self._passing: frozenset[str] = frozenset()
        self._known = self._finder()

    def __repr__(self) -> str:
        return f"Vault({len(self._values)} secrets)"

    def add(self, value: str) -> None:
        """Know one more."""
        if value not in self._values:
            self._values.add(value)
            self._known = self._finder()

    def pass_on(self, values: Iterable[str]) -> None:
        """Know these too, in the place of those that were named so before: secrets that others take the place of."""
        self._passing = frozenset(values)
        self._known = self._finder()

    def _finder(self) -> Known:
        return Known(form for value in self._values | self._passing for form in _forms(value))

    @property
    def known(self) -> Known:
        """Finds them."""
        return self._known


class Guarded:
    """An ``Executor`` that withholds what sessions and this process have to withhold.

    Args:
        inspectors: Ask the providers that sessions name.
    """

    def __init__(self, inner: Executor, vault: Vault, inspectors: Inspectors) -> None:
        self._inner = inner
        self._vault = vault
        self._inspectors = inspectors

    async def execute(self, call: Call, emit: Emit) -> CallResult:
        """See ``Executor.execute``."""
        sifted = _Sifted(
            Guard(call.security, self._vault.known, tainted=call.tainted), emit, whole=_has_providers(call)
        )
        outcome = await self._inner.execute(call, sifted)
        try:
            guard = await self._guard(call, outcome, sifted.kept)
        except (SecurityUnavailable, asyncio.CancelledError) as error:
            await self._let_go(call, outcome)
            if isinstance(error, asyncio.CancelledError):
                raise
            return refused(outcome, error.message)
        sifted.end(guard)
        return await _gone_through(guard, outcome)

    async def _let_go(self, call: Call, outcome: CallResult) -> None:
        """End a call that is held open for an answer: nobody will see what it asks."""
        if isinstance(call, ToolCall) and isinstance(outcome, ToolOutcome) and outcome.asked and outcome.asked.held:
            ended = call.model_copy(update={"resume": Resume(held=True, abandon=True)})
            await self._inner.execute(ended, lambda channel, text: None)

    def cancelled(self, call: Call, deltas: Sequence[Delta]) -> CallResult:
        """See ``Executor.cancelled``. What was held back of the pieces is lost, and no provider is waited for."""
        guard = Guard(call.security, self._vault.known, {} if _has_providers(call) else None, call.tainted)
        return cleaned(guard, self._inner.cancelled(call, deltas))

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """See ``Executor.reconcile``."""
        found = await self._inner.reconcile(call, recorded)
        if found.outcome is None:
            return found
        try:
            outcome = await _gone_through(await self._guard(call, found.outcome), found.outcome)
        except SecurityUnavailable as error:
            outcome = refused(found.outcome, error.message)
        return found.model_copy(update={"outcome": outcome})

    async def _guard(self, call: Call, outcome: CallResult, pieces: Iterable[str] = ()) -> Guard:
        """What counts now: a key may have come to be known while the call ran."""
        config = call.security
        if config is None or not config.providers:
            return Guard(config, self._vault.known, tainted=call.tainted)
        collector = Collector(config)
        await _gone_through(collector, outcome)
        inspected = await self._inspectors.inspect(config, collector.texts.union(pieces))
        return Guard(config, self._vault.known, inspected, call.tainted)


async def _gone_through(guard: Guard, outcome: CallResult) -> CallResult:
    long = isinstance(outcome, ToolOutcome) and len(outcome.content) > IN_THREAD_CHARS
    return await asyncio.to_thread(cleaned, guard, outcome) if guard and long else cleaned(guard, outcome)


def _has_providers(call: Call) -> bool:
    return call.security is not None and bool(call.security.providers)


class _Sifted:
    """Where a call puts its pieces; what may be read goes on to its readers.

    Args:
        whole: Nothing is shown before all of it was looked through.
    """

    def __init__(self, guard: Guard, emit: Emit, *, whole: bool) -> None:
        self._guard = guard
        self._emit = emit
        self._streams: dict[Channel, Stream] = {}
        self._whole: dict[Channel, list[str]] | None = {} if whole else None
        self._size = 0

    def __call__(self, channel: Channel, text: str) -> None:
        if self._whole is not None:
            self._size += len(text)
            if self._size <= MAX_KEPT_CHARS and channel != "tool_input":
                self._whole.setdefault(channel, []).append(text)
        elif not self._guard:
            self._emit(channel, text)
        else:
            stream = self._streams.get(channel)
            if stream is None:
                stream = self._streams[channel] = self._guard.stream()
            self._tell(channel, stream.feed(text))

    @property
    def kept(self) -> list[str]:
        """What was held back as a whole, one text for each channel."""
        return ["".join(pieces) for pieces in (self._whole or {}).values()]

    def end(self, guard: Guard) -> None:
        """Show the rest."""
        for channel, stream in self._streams.items():
            self._tell(channel, stream.end())
        for channel, pieces in (self._whole or {}).items():
            self._tell(channel, guard.uncounted("".join(pieces)))

    def _tell(self, channel: Channel, text: str) -> None:
        if text:
            self._emit(channel, text)
