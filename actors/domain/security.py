"""What a session withholds from its journal, its readers and its model, and how it treats results that give orders."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from actors.domain.base import Frozen
from actors.domain.inspection import Label
from actors.domain.secret_rules import MAX_TOGETHER, rule_of


class Secret(StrEnum):
    """Kinds of text that are withheld. Their names are the labels: ``[REDACTED:EMAIL]``."""

    api_key = "API_KEY"
    aws_key = "AWS_KEY"
    github_token = "GITHUB_TOKEN"
    jwt = "JWT"
    private_key = "PRIVATE_KEY"
    password = "PASSWORD"
    """In an address, as in ``postgresql://user:password@host``."""

    ssn = "SSN"
    credit_card = "CREDIT_CARD"
    email = "EMAIL"
    phone = "PHONE"

    @property
    def personal(self) -> bool:
        """Whether it tells of a person and opens no door: a tool may have to be told of it."""
        return self in {Secret.ssn, Secret.credit_card, Secret.email, Secret.phone}


class OnInjection(StrEnum):
    """What becomes of a tool's result in which somebody seems to give the model orders."""

    note = "note"
    """The model reads it between two marks that say so."""

    ask = "ask"
    """Somebody decides whether the model reads it as it is, marked, or not at all; until then the turn waits."""

    block = "block"
    """The model is told that there was one, and not what it says."""


ImportString = Annotated[str, Field(max_length=256, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
Pattern = Annotated[str, Field(min_length=1, max_length=256)]


MAX_TAINTS = 128
"""Values that a session knows again, the newest ones: they go with each of its calls."""


class Taint(Frozen):
    """A value that was withheld, by digests under the store's key: of its first 8 characters, and of all of it.

    ``personal``: it only tells of a person.
    """

    label: str
    head: str
    length: int
    digest: str
    personal: bool = False


class Tainted(Frozen):
    """What a session knows again, and the key of the digests."""

    key: str = Field(repr=False)
    taints: tuple[Taint, ...] = ()


class Sifted(Frozen):
    """What was withheld of something, and what else was found in it: labels and counts, never what it was.

    Attributes:
        taints: By what the values are known again.
        withheld: How many places, by label.
        orders: The kinds of orders to the model that it holds, and what became of it for that.
    """

    withheld: dict[str, int] = {}
    orders: tuple[str, ...] = ()
    treated: OnInjection | None = None
    taints: tuple[Taint, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.withheld or self.orders)


class SecurityReport(Frozen):
    """What was withheld in a session so far, and what its tools brought in; a fork's and an import's own only.

    Attributes:
        withheld: How many places, by label.
        orders: How many results gave orders to the model, by their kind.
        treated: How many of them were marked (``note``), asked about (``ask``), or not shown (``block``).
    """

    withheld: dict[str, int] = {}
    orders: dict[str, int] = {}
    treated: dict[str, int] = {}


class SecurityConfig(Frozen):
    r"""What is withheld in a session. None of it is in its journal afterwards, nor can it be got back.

    Attributes:
        enabled: False is the same as no configuration, also where the runtime has one for all.
        kinds: What is withheld; everything known when not given.
        patterns: More of it, by label: literal text, ``[classes]``, ``\d \w \s .``, each once or with ``{m,n}``,
            ``?``, ``+``, ``*`` (at most 64 times), and ``\b`` at either end. A repetition takes all it can. One fits
            256 characters at most, all together 1,024. A pattern that says more than that is refused.
        providers: Import strings (``package.module:Class``) of ``SecurityProvider``s of one's own, asked about every
            text besides. With one, pieces of a call are shown when it ends and all of it was looked through.
        on_injection: What becomes of results that give orders.
    """

    enabled: bool = True
    kinds: tuple[Secret, ...] = tuple(Secret)
    patterns: dict[Label, Pattern] = Field(default={}, max_length=32)
    providers: tuple[ImportString, ...] = Field(default=(), max_length=4)
    on_injection: OnInjection = OnInjection.note

    @field_validator("patterns")
    @classmethod
    def _can_be_followed(cls, patterns: dict[str, str]) -> dict[str, str]:
        together = sum(rule_of(label, pattern).longest for label, pattern in patterns.items())
        if together > MAX_TOGETHER:
            raise ValueError(f"the patterns fit {together} characters together, and {MAX_TOGETHER} are the most")
        return patterns

    def within(self, bound: SecurityConfig) -> SecurityConfig:
        """This configuration where ``bound`` counts as well: what either withholds is withheld."""
        if not bound.enabled:
            return self
        if not self.enabled:
            return bound
        return self.model_copy(
            update={
                "kinds": tuple(kind for kind in Secret if kind in {*self.kinds, *bound.kinds}),
                "patterns": self.patterns | bound.patterns,
                "providers": tuple(dict.fromkeys((*self.providers, *bound.providers))),
                "on_injection": max(self.on_injection, bound.on_injection, key=tuple(OnInjection).index),
            }
        )
