"""What a session withholds from its journal, its readers and its model, and how it treats results that give orders."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from actors.domain.base import Frozen


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

    block = "block"
    """The model is told that there was one, and not what it says."""


Label = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Z][A-Z0-9_]*$")]
Pattern = Annotated[str, Field(min_length=1, max_length=256)]


class SecurityConfig(Frozen):
    r"""What is withheld in a session. None of it is in its journal afterwards, nor can it be got back.

    Attributes:
        enabled: False is the same as no configuration, also where the runtime has one for all.
        kinds: What is withheld; everything known when not given.
        patterns: More of it, by label: literal text, ``[classes]``, ``\d \w \s .``, each once or with ``{m,n}``,
            ``?``, ``+``, ``*`` (at most 256 times), and ``\b`` at either end. A repetition takes all it can. Those
            that say more than that are skipped.
        on_injection: What becomes of results that give orders.
    """

    enabled: bool = True
    kinds: tuple[Secret, ...] = tuple(Secret)
    patterns: dict[Label, Pattern] = Field(default={}, max_length=32)
    on_injection: OnInjection = OnInjection.note
