"""What is withheld from one call: made once for a configuration and what is known word for word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from actors.domain.inspection import Inspection, merged
from actors.domain.messages import WITHHELD, Message, TextBlock, ToolUseBlock
from actors.domain.secret_rules import mark
from actors.domain.security import Secret, SecurityConfig, Sifted, Tainted
from actors.policy.security.redaction import KNOWN, Finder, Known, Stream, finders_of, redact
from actors.policy.security.taints import Taints, taints_of

_MARK: Final = "[REDACTED:"
_MAX_DEPTH: Final = 64

UNCHECKED: Final = "UNCHECKED"
"""The label of texts that a provider should have looked through."""


class Guard:
    """Takes out what is withheld.

    Args:
        config: What the session withholds; None: only what is known.
        known: Texts that are withheld in any case.
        inspected: What providers found in all texts there are. Of a text that is not there, nothing is shown.
        tainted: What was withheld before, and is known again.

    Attributes:
        counts: How many places were withheld so far, by label.
    """

    def __init__(
        self,
        config: SecurityConfig | None,
        known: Known | None = None,
        inspected: Mapping[str, Inspection] | None = None,
        tainted: Tainted | None = None,
    ) -> None:
        self.config = config
        self._inspected = inspected
        self._tainted = tainted if config is not None else None
        self._values: dict[str, str] = {}
        self._personal: set[str] = set()
        self._known = known
        # Without a configuration no other mark was ever made.
        self._marks = _MARK if config is not None else mark(KNOWN)
        word_for_word: tuple[Finder, ...] = (known,) if known else ()
        patterns = tuple(config.patterns.items()) if config is not None else ()
        kinds = config.kinds if config is not None else ()
        again = [Taints(_meant(config, tainted), secret=only) for only in (False, True)] if tainted and config else []
        found = finders_of(kinds, patterns) if config is not None else ()
        self._all: tuple[Finder, ...] = (*word_for_word, *found, *filter(None, again[:1]))
        secret = tuple(kind for kind in kinds if not kind.personal)
        self.counts: Counter[str] = Counter()
        found = finders_of(secret, patterns) if config is not None else ()
        self._secret: tuple[Finder, ...] = (*word_for_word, *found, *filter(None, again[1:]))

    def __bool__(self) -> bool:
        return bool(self._all) or self._inspected is not None

    def stream(self) -> Stream:
        """For one text that comes in pieces."""
        return Stream(self._all)

    def text(self, text: str) -> str:
        """The text without what is withheld."""
        return redact(self._own(text, self.counts), self._all, self.counts, self._values)

    def sifted(self) -> Sifted:
        """What was withheld so far."""
        tainted = self._tainted
        taints = taints_of(tainted, self._values, self._personal) if tainted is not None else ()
        return Sifted(withheld=dict(self.counts), taints=taints)

    def uncounted(self, text: str) -> str:
        """The same, of a text that is part of what is counted elsewhere."""
        return redact(self._own(text, Counter()), self._all)

    def orders(self, text: str) -> tuple[str, ...]:
        """The kinds of orders that providers have found in a text."""
        found = self._inspected.get(text) if self._inspected is not None else None
        return found.orders if found is not None else ()

    def _own(self, text: str, counts: Counter[str], *, secret: bool = False) -> str:
        """The text without what providers found; all of it is withheld where none has looked at it."""
        if self._inspected is None or not any(map(str.isalnum, text)):
            return text
        found = self._inspected.get(text)
        if found is None:
            counts[UNCHECKED] += 1
            return mark(UNCHECKED)
        shown: list[str] = []
        start = 0
        for one in merged(found.findings):
            if not (secret and one.personal):
                counts[one.label] += 1
                value = text[one.start : one.end]
                self._values[value] = one.label
                self._personal |= {value} if one.personal else set()
                shown += (text[start : one.start], mark(one.label))
                start = one.end
        return "".join((*shown, text[start:]))

    def tells(self, raw: bytes) -> bool:
        """Whether bytes hold a text that is known word for word: all that can be looked for in what is no text."""
        return self._known is not None and self._known.find(raw.decode("latin-1"), 0) is not None

    def value(self, value: Any) -> Any:
        """A value of JSON, with all texts in it, the names of its members too."""
        return _mapped(value, self.text)

    def arguments(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of a tool as they are written down: unchanged, or with a reason for which they are not used.

        What is written down is what runs, now and after a restart. Where that would be a secret, or a mark in the
        place of one, there is nothing that could run. What only tells of a person stays: tools need it.
        """
        counts: Counter[str] = Counter()
        plain = cast("dict[str, Any]", _mapped(dict(args), lambda text: self._closed(text, counts)))
        self.counts += counts
        if counts:
            return plain | {WITHHELD: f"they hold a secret ({', '.join(sorted(counts))})"}
        if any(self._marks in text for text in _texts(args)):
            return plain | {WITHHELD: f"{_MARK}...] stands for a text that is withheld from you, and is none itself"}
        return dict(args)

    def secrets_in(self, value: Any) -> tuple[str, ...]:
        """Labels of what opens a door, anywhere in a value of JSON; what only tells of a person is none of it."""
        counts: Counter[str] = Counter()
        _mapped(value, lambda text: self._closed(text, counts))
        return tuple(sorted(counts))

    def _closed(self, text: str, counts: Counter[str]) -> str:
        return redact(self._own(text, counts, secret=True), self._secret, counts, self._values)

    def message(self, message: Message) -> Message:
        """A message without what is withheld. Changed thinking loses its seal, without which no provider takes it."""
        content = tuple(self._block(block) for block in message.content)
        thinking = self.text(message.reasoning_content) if message.reasoning_content else message.reasoning_content
        changes: dict[str, Any] = {"content": content} if content != message.content else {}
        if thinking != message.reasoning_content:
            changes |= {"reasoning_content": thinking, "reasoning_signature": None}
        return message.model_copy(update=changes) if changes else message

    def _block(self, block: Any) -> Any:
        if isinstance(block, TextBlock):
            return _changed(block, "text", self.text(block.text))
        if isinstance(block, ToolUseBlock):
            return _changed(block, "input", self.arguments(block.input))
        return block


def _meant(config: SecurityConfig, tainted: Tainted) -> Tainted:
    """What is known again and still withheld: of kinds that were chosen, of patterns and providers that are there."""
    known = {kind.value for kind in Secret}
    chosen = {*config.kinds, *config.patterns}
    meant = [one for one in tainted.taints if one.label in chosen or (config.providers and one.label not in known)]
    return tainted.model_copy(update={"taints": tuple(meant)})


class Collector(Guard):
    """Goes where a guard goes, and remembers what texts there are: what providers have to look through."""

    def __init__(self, config: SecurityConfig) -> None:
        super().__init__(config, inspected={})
        self._all = self._secret = ()
        self.texts: set[str] = set()

    def _own(self, text: str, counts: Counter[str], *, secret: bool = False) -> str:
        if any(map(str.isalnum, text)):
            self.texts.add(text)
        return text


def _changed(block: Any, name: str, value: Any) -> Any:
    return block if getattr(block, name) == value else block.model_copy(update={name: value})


def _mapped(value: Any, change: Callable[[str], str], depth: int = 0) -> Any:
    if isinstance(value, str):
        return change(value)
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        members = cast("Mapping[Any, Any]", value)
        return {_mapped(name, change, depth): _mapped(one, change, depth + 1) for name, one in members.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(one, change, depth + 1) for one in cast("Iterable[Any]", value))
    return value


def _texts(value: Any) -> Iterable[str]:
    found: list[str] = []
    _mapped(value, lambda text: (found.append(text), text)[1])
    return found
