"""What MCP servers offer beside tools: resources to be read, and prompts to be sent."""

from __future__ import annotations

import base64
from typing import Final

from actors.domain.base import Frozen
from actors.domain.messages import ImageBlock, Message, Role, TextBlock

MAX_LISTED: Final = 1000
"""Resources, or prompts, of one answer; ``next`` goes on behind them."""

MAX_LISTED_BYTES: Final = 1024 * 1024
"""Of one answer, as for tools: what goes beyond it is counted and left out."""

MAX_TEMPLATES: Final = 256
MAX_ARGUMENTS: Final = 64
MAX_URI_CHARS: Final = 8192
"""Longer ones are left out: browsers and proxies stop there too."""

MAX_NAME_CHARS: Final = 512
MAX_ABOUT_CHARS: Final = 4096
MAX_CURSOR_CHARS: Final = 4096
MAX_VALUE_CHARS: Final = 256 * 1024
"""Of a prompt's arguments together: they are for a sentence or a file, not for a book."""


class McpResource(Frozen):
    """Something that can be read.

    Attributes:
        media_type: As the server has it, if it does; ``size`` in bytes too.
    """

    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    media_type: str | None = None
    size: int | None = None


class McpResourceTemplate(Frozen):
    """Resources by a pattern of their URIs (RFC 6570)."""

    uri_template: str
    name: str
    title: str | None = None
    description: str | None = None
    media_type: str | None = None


class McpResources(Frozen):
    """A part of a server's resources.

    Attributes:
        templates: With the first part.
        next: Goes into ``after`` for the next part; None at the end.
        left_out: How many of this part cannot be listed: too many at once, too large, or without a valid URI.
    """

    items: tuple[McpResource, ...] = ()
    templates: tuple[McpResourceTemplate, ...] = ()
    next: str | None = None
    left_out: int = 0


class McpContent(Frozen):
    """A content of a resource: ``text``, or bytes as base64 (``blob``)."""

    uri: str
    media_type: str | None = None
    text: str | None = None
    blob: str | None = None

    @property
    def data(self) -> bytes:
        """Its bytes; those of a text in UTF-8."""
        return base64.b64decode(self.blob) if self.blob is not None else (self.text or "").encode()


class McpArgument(Frozen):
    """What a prompt can be told."""

    name: str
    description: str | None = None
    required: bool = False


class McpPrompt(Frozen):
    """A prompt that the server makes when it is asked for it."""

    name: str
    title: str | None = None
    description: str | None = None
    arguments: tuple[McpArgument, ...] = ()


class McpPrompts(Frozen):
    """A part of a server's prompts; ``next`` and ``left_out`` as of ``McpResources``."""

    items: tuple[McpPrompt, ...] = ()
    next: str | None = None
    left_out: int = 0


class McpInput(Frozen):
    """A prompt of a server in the place of an input: it is made when it is sent.

    Attributes:
        server: One that the session can use, its own or a shared one.
    """

    server: str
    prompt: str
    arguments: dict[str, str] = {}


class McpPromptText(Frozen):
    """A prompt as the server has made it: whose words they are is the server's say."""

    description: str | None = None
    messages: tuple[Message, ...]

    def as_input(self) -> Message:
        """All of it as one input of a session.

        Where the model is to see words of its own (a prompt may hold a conversation), it is said who speaks.
        """
        told = any(message.role is not Role.user for message in self.messages)
        content: list[TextBlock | ImageBlock] = []
        for message in self.messages:
            if told:
                content.append(TextBlock(text=f"[{message.role}]\n"))
            content += [block for block in message.content if isinstance(block, TextBlock | ImageBlock)]
        return Message(role=Role.user, content=_joined(content))


def _joined(content: list[TextBlock | ImageBlock]) -> tuple[TextBlock | ImageBlock, ...]:
    """Texts that follow each other as one, with a line between them."""
    found: list[TextBlock | ImageBlock] = []
    for block in content:
        before = found[-1] if found else None
        if isinstance(block, TextBlock) and isinstance(before, TextBlock):
            between = "" if before.text.endswith("\n") else "\n\n"
            found[-1] = TextBlock(text=before.text + between + block.text)
        else:
            found.append(block)
    return tuple(found)
