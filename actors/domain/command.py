"""What all commands have in common: an id, and a digest by which the same command is known again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import Field

from actors.domain.base import Frozen


class Command(Frozen):
    """Base of all commands.

    Attributes:
        command_id: Identity of the command within its session.
        fresh: The sender made the id just now and has not sent it before, so there is no first outcome to look
            up. A wrong claim is caught by the store.
    """

    command_id: str
    fresh: bool = Field(default=False, exclude=True)

    def digest(self) -> str:
        """Hex digest of everything but the id: the same id with another digest is a conflict."""
        plain = self.model_dump(mode="json", exclude={"command_id"})
        return digest_of_json(plain)


def digest_of_json(value: Any) -> str:
    """A short digest of a JSON value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
