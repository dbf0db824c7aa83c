"""Why a server is not there, in a sentence that people can use and that holds none of its secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import ValidationError

from actors.domain.asking import MAX_MESSAGE_BYTES
from actors.mcp.stdio import ServerProcess

MAX_CHARS: Final = 1000
MAX_STDERR_CHARS: Final = 700
"""Of the end of what a server wrote to stderr: what has gone wrong stands last."""

_OF_STDERR: Final = ". The end of its stderr: "
_SHORTEST_SECRET: Final = 4
"""Shorter values are no secrets, and replacing them would spoil the sentence."""


class NoQuestion(Exception):
    """What the server asks cannot be put to anybody; the text says why."""


class NotConnected(Exception):
    """The server cannot be reached now; the call was not made."""


class Lost(Exception):
    """The server went away under the call: it may have taken effect."""


def sentence(why: BaseException | None, process: ServerProcess | None, secrets: Sequence[str]) -> str:
    """What has gone wrong, as far as it can be said."""
    text = process.problem if process is not None and process.problem else _text(why)
    text = hidden(text, secrets)[:MAX_CHARS]
    if process is not None and process.stderr:
        said = hidden(process.stderr, secrets)[-MAX_STDERR_CHARS:]
        text = f"{text[: MAX_CHARS - len(said) - len(_OF_STDERR)]}{_OF_STDERR}{said}"
    return text


def misfit(error: ValidationError) -> str:
    """The first thing in a message that is not as it has to be, and where."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def hidden(text: str, secrets: Sequence[str]) -> str:
    """The text with secrets made unreadable, and without control characters."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return "".join(one if one.isprintable() or one == "\n" else " " for one in text)


def shortened(message: str) -> str:
    """The beginning of a question: characters take up to six bytes as JSON."""
    message = message[:MAX_MESSAGE_BYTES]
    while len(json.dumps(message, ensure_ascii=False).encode()) > MAX_MESSAGE_BYTES:
        message = message[: len(message) * 3 // 4]
    return message


def _text(why: BaseException | None) -> str:
    found = next(_leaves(why), why) if why is not None else None
    match found:
        case None:
            return "the connection was closed"
        case TimeoutError():
            return "it did not answer in time"
        case ValidationError():
            return f"it sent what the protocol does not know: {misfit(found)}"
        case OSError():
            return found.strerror or type(found).__name__
        case _:
            said = str(found).strip()
            return said if said and len(said) < MAX_CHARS else type(found).__name__


def _leaves(why: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, those that are no consequence of others first."""
    if not isinstance(why, BaseExceptionGroup):
        yield why
        return
    inner = [leaf for one in why.exceptions for leaf in _leaves(one)]
    yield from sorted(inner, key=lambda leaf: type(leaf).__name__ in {"CancelledError", "BrokenResourceError"})
