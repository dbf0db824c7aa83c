"""What all commands have in common: an id, and a digest by which the same command is known again."""

from __future__ import annotations

import hashlib
import json
from typing import Any, cast

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
        """Hex digest of everything but the id: the same id with another digest is a conflict.

        A key is with the runtime under a name that each runtime makes anew: a command with the same key is the same.
        """
        plain = self.model_dump(mode="json", exclude={"command_id"})
        return digest_of_json(_without_credentials(plain))


def _without_credentials(value: Any) -> Any:
    """A command without the names of its models' keys; what else it has stays as it is."""
    if isinstance(value, list):
        return [_without_credentials(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    entries = cast("dict[str, Any]", value)
    is_model = "credential_id" in entries and "provider" in entries
    return {key: _without_credentials(one) for key, one in entries.items() if not (is_model and key == "credential_id")}


def digest_of_json(value: Any) -> str:
    """A short digest of a JSON value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
