"""How an attempt of a model call failed, and how a turn that is being closed ends. Plain values."""

from __future__ import annotations

from typing import Any

from actors.domain.base import Frozen
from actors.domain.records import ModelCallFailed
from actors.errors import CredentialMissing, ModelUnpriced


class Failure(Frozen):
    """How the last attempt of the present model call failed."""

    code: str
    message: str
    error_args: tuple[Any, ...] = ()
    retryable: bool
    host_lost: bool

    @classmethod
    def of(cls, data: ModelCallFailed.Data) -> Failure:
        """How this attempt failed."""
        return cls(
            code=data.code,
            message=data.message,
            error_args=data.error_args,
            retryable=data.retryable,
            host_lost=data.host_lost,
        )

    @property
    def unsent(self) -> bool:
        """Whether nothing was sent, for want of a key or of a price; the attempt counts for nothing."""
        return self.code in {CredentialMissing.__name__, ModelUnpriced.__name__}


NO_SUMMARY = Failure(code="no_summary", message="The model wrote no summary.", retryable=False, host_lost=False)
"""Of what is to be cut; an empty one would lose it."""

NO_TITLE = Failure(code="no_title", message="There is no title for it.", retryable=False, host_lost=False)
"""Nobody has said anything, or the model wrote nothing."""


class Ending(Frozen):
    """The turn is being closed, and how it ends."""

    reason: str
    then: str
    code: str
