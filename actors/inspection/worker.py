"""The process in which a security provider of a user is loaded and asked, one line of JSON for another.

    worker.py PROVIDER PATHS

PATHS is a JSON list of the places to import from. stdin has a JSON list of texts on each line; each line of stdout is
``{"ready": true}``, ``{"inspections": [...]}`` or ``{"error": NAME}``. What the provider prints goes nowhere: it may be
what it looks through. The process ends with whoever started it, also when that is killed.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any, TextIO

_SIGKILL, _PR_SET_PDEATHSIG = 9, 1


def main(reference: str, paths: list[str]) -> None:
    """Load the provider, and ask it until stdin ends."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    _end_with_parent()
    sys.path[:] = [*sys.path, *(path for path in paths if path not in sys.path)]
    try:
        provider = _load(reference)
    except BaseException as error:
        # No text was seen yet: what it says is about the code.
        _tell(told, {"error": f"{type(error).__name__}: {error}"[:500]})
        return
    _tell(told, {"ready": True})
    for line in lines:
        try:
            inspections = [_plain(provider.inspect(text)) for text in json.loads(line)]
            answer = json.dumps({"inspections": inspections})
        except Exception as error:
            answer = json.dumps({"error": type(error).__name__})
        told.write(answer + "\n")
        told.flush()


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    value: Any = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    provider = value()
    if not callable(getattr(provider, "inspect", None)):
        raise TypeError("it has no method inspect(text)")
    return provider


def _plain(inspection: Any) -> Any:
    return inspection.model_dump(mode="json") if hasattr(inspection, "model_dump") else inspection


def _tell(told: TextIO, answer: dict[str, Any]) -> None:
    told.write(json.dumps(answer) + "\n")
    told.flush()


def _end_with_parent() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
