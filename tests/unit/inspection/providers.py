"""Security providers as users write them, and as they should not. With plain values, so that they load in no time."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import Any

Found = dict[str, Any]
_NAMES = re.compile(r"\bProject [A-Z][a-z]+")


class Projects:
    """Knows the names of projects, what opens the door, and what its own house calls an order."""

    def inspect(self, text: str) -> Found:
        sys.stdout.write(f"what a provider prints is kept nowhere: {text}\n")
        sys.stdout.flush()
        found = [
            {"start": match.start(), "end": match.end(), "label": "PROJECT", "personal": True}
            for match in _NAMES.finditer(text)
        ]
        place = text.find("sesame")
        found += [{"start": place, "end": place + 6, "label": "DOOR"}] if place >= 0 else []
        return {"findings": found, "orders": ["house"] if "Simon says" in text else []}


class Environment:
    """Tells whether a secret of the service reached it."""

    def inspect(self, text: str) -> Found:
        leaked = "CANARY_TOKEN" in os.environ
        return {"findings": [{"start": 0, "end": 1, "label": "LEAK"}] if leaked else []}


class Raises:
    """Repeats what it was asked in its error."""

    def inspect(self, text: str) -> Found:
        raise ValueError(text)


class Hangs:
    """Never answers."""

    def inspect(self, text: str) -> Found:
        time.sleep(3600)
        return {}


class Dies:
    """Ends its process."""

    def inspect(self, text: str) -> Found:
        sys.stdout.flush()
        os._exit(3)


class Nonsense:
    """Answers anything."""

    def inspect(self, text: str) -> Any:
        return {"findings": [{"start": 3, "end": 10_000, "label": "X"}]}


class Words:
    """Answers what nobody can read."""

    def inspect(self, text: str) -> Any:
        return "fine"


class Broken:
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("no licence")


class Wordless:
    """Is no provider."""


class Fickle:
    """Fails as soon as it meets what matters."""

    def inspect(self, text: str) -> Found:
        if "Project" in text:
            raise ValueError
        return {}
