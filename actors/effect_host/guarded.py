"""Between a host and what carries its calls out: nothing that is withheld gets past here, in a piece or an outcome.

What comes out of a call is changed before anybody can read or keep it. What goes in, the arguments of a tool, is not.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from actors.domain.asking import Question
from actors.domain.calls import Delta, Emit, ModelOutcome, Outcome, Reconciled, ToolCall, ToolOutcome
from actors.domain.security import OnInjection, Sifted
from actors.effect_host.entry import Channel
from actors.effect_host.ports import Call, CallResult, Executor
from actors.policy.security.guard import Guard
from actors.policy.security.injections import injections
from actors.policy.security.redaction import Known, Stream
from actors.policy.security.results import INJECTION, treated

IN_THREAD_CHARS: Final = 64 * 1024
"""Longer results are looked through beside the event loop: some 10 ms for 100 KB."""

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


class Vault:
    """Secrets of this process and of whoever is served here, in memory only: no outcome tells them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = {*values, *secrets_of(os.environ)}
        self._known = Known(self._values)

    def __repr__(self) -> str:
        return f"Vault({len(self._values)} secrets)"

    def add(self, value: str) -> None:
        """Know one more."""
        if value not in self._values:
            self._values.add(value)
            self._known = Known(self._values)

    @property
    def known(self) -> Known:
        """Finds them."""
        return self._known


class Guarded:
    """An ``Executor`` that withholds what sessions and this process have to withhold."""

    def __init__(self, inner: Executor, vault: Vault) -> None:
        self._inner = inner
        self._vault = vault

    async def execute(self, call: Call, emit: Emit) -> CallResult:
        """See ``Executor.execute``."""
        guard = self._guard(call)
        sifted = _Sifted(self._guard(call), emit)
        outcome = await self._inner.execute(call, sifted)
        # A key may have come to be known while the call ran.
        guard = self._guard(call)
        sifted.end()
        if not guard:
            return outcome
        long = isinstance(outcome, ToolOutcome) and len(outcome.content) > IN_THREAD_CHARS
        return await asyncio.to_thread(_clean, guard, outcome) if long else _clean(guard, outcome)

    def cancelled(self, call: Call, deltas: Sequence[Delta]) -> CallResult:
        """See ``Executor.cancelled``. What was held back of the pieces is lost."""
        return _clean(self._guard(call), self._inner.cancelled(call, deltas))

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        """See ``Executor.reconcile``."""
        found = await self._inner.reconcile(call, recorded)
        if found.outcome is None:
            return found
        return found.model_copy(update={"outcome": _clean(self._guard(call), found.outcome)})

    def _guard(self, call: Call) -> Guard:
        return Guard(call.security, self._vault.known)


class _Sifted:
    """Where a call puts its pieces; what may be read goes on to its readers."""

    def __init__(self, guard: Guard, emit: Emit) -> None:
        self._guard = guard
        self._emit = emit
        self._streams: dict[Channel, Stream] = {}

    def __call__(self, channel: Channel, text: str) -> None:
        if not self._guard:
            self._emit(channel, text)
            return
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = self._guard.stream()
        self._tell(channel, stream.feed(text))

    def end(self) -> None:
        for channel, stream in self._streams.items():
            self._tell(channel, stream.end())

    def _tell(self, channel: Channel, text: str) -> None:
        if text:
            self._emit(channel, text)


def _clean(guard: Guard, outcome: CallResult) -> Any:
    if not guard:
        return outcome
    return _model(guard, outcome) if isinstance(outcome, ModelOutcome) else _tool(guard, outcome)


def _model(guard: Guard, outcome: ModelOutcome) -> ModelOutcome:
    changes: dict[str, Any] = {
        "message": guard.message(outcome.message) if outcome.message is not None else None,
        "error": _maybe(guard.text, outcome.error),
        "error_args": guard.value(outcome.error_args),
        "output_problem": _maybe(guard.text, outcome.output_problem),
    }
    return outcome.model_copy(update=changes | {"sifted": Sifted(withheld=dict(guard.counts))})


def _maybe(change: Callable[[str], str], text: str | None) -> str | None:
    return change(text) if text else text


def _tool(guard: Guard, outcome: ToolOutcome) -> ToolOutcome:
    content = guard.text(outcome.content)
    metadata = cast("dict[str, Any]", guard.value(outcome.metadata))
    changes: dict[str, Any] = {"content": content, "metadata": metadata}
    if outcome.files:
        named = [one.model_copy(update={"name": guard.text(one.name)}) for one in outcome.files]
        changes["files"] = tuple(one for one in named if not guard.tells(one.raw))
    if outcome.asked is not None:
        asked = tuple(_question(guard, one) for one in outcome.asked.questions)
        changes["asked"] = outcome.asked.model_copy(update={"questions": asked})
    sifted = Sifted(withheld=dict(guard.counts))
    found = injections(content) if guard.config is not None else ()
    if found and guard.config is not None:
        how = guard.config.on_injection
        changes |= {"content": treated(content, found, how), "metadata": metadata | {INJECTION: list(found)}}
        if how is OnInjection.block:
            changes |= {"images": (), "files": (), "exit_code": 1}
            changes |= {"outcome": Outcome.error} if outcome.outcome is Outcome.ok else {}
        sifted = sifted.model_copy(update={"orders": found, "treated": how})
    return outcome.model_copy(update=changes | {"sifted": sifted})


def _question(guard: Guard, question: Question) -> Question:
    """What people read of it. Names of fields, choices and the page's address have to stay as they are."""
    form = _told(guard, question.form) if question.form is not None else None
    return question.model_copy(update={"message": guard.text(question.message), "form": form})


def _told(guard: Guard, schema: Any) -> Any:
    if isinstance(schema, list):
        return [_told(guard, one) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = cast("dict[str, Any]", schema)
    return {
        name: guard.value(value) if name in _WORDS and not isinstance(value, dict) else _told(guard, value)
        for name, value in members.items()
    }


_WORDS: Final = frozenset({"title", "description", "default"})
"""Of a form: what is only shown."""
