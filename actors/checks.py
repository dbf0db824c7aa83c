"""What callers give, looked at before anything happens with it: between Python arguments and commands or queries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from actors.domain.command import Command
from actors.domain.messages import Base64Source, ImageBlock, Message, Role, TextBlock
from actors.domain.session import SessionConfig
from actors.errors import InvalidConfig, InvalidRequest

MAX_PAGE = 1000
"""Items of one page: bounds the answer, and what the store reads at once."""

MAX_PROMPT = 4 * 1024 * 1024
"""Characters of a message's text: more than any model's window."""

MAX_IMAGES = 8 * 1024 * 1024
"""Characters of a message's images in base64: one of 5 MB, the largest that providers take, has 6.7 million."""

MAX_SEQ = 2**53
"""Highest place in a journal that can be asked for: every JSON reader can tell it from its neighbours."""

MAX_CONFIG_BYTES = 192 * 1024
"""Bytes of a session's configuration as JSON: it stands in a record, which has 256 KiB at most."""

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=StrEnum)

_HALF = "A text has half of a surrogate pair in it, which is not valid Unicode. Send the whole character."
_NO_JSON = "A value cannot be written as JSON: it is nested too deeply, or of a kind that JSON does not have."


def checked_prompt(prompt: str | Message) -> Message:
    """The message of an input: of role user, with something in it.

    Raises:
        InvalidRequest: it is another kind of message, blank, or too large.
    """
    message = Message.user(prompt) if isinstance(prompt, str) else prompt
    if message.role is not Role.user or not message.content:
        raise InvalidRequest("A prompt is a text, or a message of role user with some content.")
    if all(isinstance(block, TextBlock) and not block.text.strip() for block in message.content):
        raise InvalidRequest("The prompt is empty.")
    return checked_message(message)


def checked_arguments(arguments: Mapping[str, str] | None) -> dict[str, str]:
    """The arguments of a prompt of an MCP server: texts by name.

    Raises:
        InvalidRequest: they are something else.
    """
    given: dict[Any, Any] = dict(arguments or {})
    if not all(isinstance(one, str) for pair in given.items() for one in pair):
        raise InvalidRequest("The arguments of a prompt are texts, by their names.")
    return given


def checked_message(message: Message) -> Message:
    """A message that can be written down.

    Raises:
        InvalidRequest: it is too large, is not valid Unicode, or has an image that is none.
    """
    texts = [block.text for block in message.content if isinstance(block, TextBlock)]
    if sum(len(text) for text in texts) > MAX_PROMPT:
        raise InvalidRequest(f"The text of a message has at most {MAX_PROMPT} characters. Send less at once.")
    images = [block.source for block in message.content if isinstance(block, ImageBlock)]
    sources = [source for source in images if isinstance(source, Base64Source)]
    if sum(len(source.data) for source in sources) > MAX_IMAGES:
        raise InvalidRequest(f"The images of a message have at most {MAX_IMAGES} characters in base64. Send fewer.")
    problem = next((source.problem for source in sources if source.problem), None)
    if problem is not None:
        raise InvalidRequest(f"An image cannot be used: {problem}.")
    try:
        message.model_dump_json()
    except ValueError as exc:
        raise InvalidRequest(_unwritable(exc)) from None
    return message


def _unwritable(error: ValueError) -> str:
    return _HALF if "surrogates" in str(error) else _NO_JSON


def checked_command(make: Callable[[], C]) -> C:
    """A command that can be written down.

    Raises:
        InvalidRequest: one of its values is of another kind, or is not valid Unicode.
    """
    try:
        command = make()
        command.model_dump_json()
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None
    except ValueError as exc:
        raise InvalidRequest(_unwritable(exc)) from None
    return command


def checked_config(config: SessionConfig) -> SessionConfig:
    """A configuration that a session can be created with.

    Raises:
        InvalidConfig: its workspace is not an absolute path, or it is too large.
    """
    if config.workspace and not Path(config.workspace).is_absolute():
        raise InvalidConfig(f"Workspace {config.workspace[:200]!r} is not an absolute path.")
    if len(config.model_dump_json().encode()) > MAX_CONFIG_BYTES:
        raise InvalidConfig(f"The configuration is larger than {MAX_CONFIG_BYTES // 1024} KiB. Shorten it.")
    return config


async def checked_directory(path: str) -> None:
    """A directory of this machine.

    Raises:
        InvalidConfig: there is none of this path.
    """
    if not await asyncio.to_thread(Path(path).is_dir):
        raise InvalidConfig(f"Workspace {path[:200]!r} is not a directory. Make it first, or name another one.")


def checked_timeout(timeout: float | None) -> float | None:
    """Seconds to wait; None, and infinity, for as long as it takes.

    Raises:
        InvalidRequest: it is negative or not a number.
    """
    if timeout is None or timeout == float("inf"):
        return None
    if not timeout >= 0:
        raise InvalidRequest("timeout is a number of seconds, 0 or more; None waits for as long as it takes.")
    return timeout


def checked_limit(limit: int) -> int:
    """Items of a page.

    Raises:
        InvalidRequest: it is none from 1 to 1,000.
    """
    if limit not in range(1, MAX_PAGE + 1):
        raise InvalidRequest(f"limit is 1 to {MAX_PAGE}.")
    return limit


def checked_seq(after: int) -> int:
    """A place in a journal to read after.

    Raises:
        InvalidRequest: it is no whole number from 0 on.
    """
    if after not in range(MAX_SEQ + 1):
        raise InvalidRequest("after is the seq of a record, or 0 for the beginning.")
    return after


def checked_at(at: int | None, head: int) -> int | None:
    """A place in a journal to look at; None for its head.

    Raises:
        InvalidRequest: the journal has no record of that number.
    """
    if at is not None and at not in range(1, head + 1):
        raise InvalidRequest(f"at is the seq of a record, 1 to {head}; None is the last one.")
    return at


def checked_choice(name: str, kind: type[E], value: str) -> E:
    """A member of an enumeration.

    Raises:
        InvalidRequest: it has no such member.
    """
    try:
        return kind(value)
    except ValueError:
        raise InvalidRequest(f"{name} is one of {', '.join(kind)}, not {str(value)[:100]!r}.") from None
