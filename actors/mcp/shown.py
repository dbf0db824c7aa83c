"""What a server lists and gives, as the project's own values: checked, bounded, without its secrets."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from actors.domain.base import Frozen
from actors.domain.mcp_library import (
    MAX_ABOUT_CHARS,
    MAX_ARGUMENTS,
    MAX_LISTED_BYTES,
    MAX_NAME_CHARS,
    MAX_URI_CHARS,
    McpArgument,
    McpContent,
    McpPrompt,
    McpPromptText,
    McpResource,
    McpResourceTemplate,
)
from actors.domain.messages import ImageBlock, Message, Role, TextBlock
from actors.mcp.problems import hidden
from actors.mcp.results import image, media_type
from actors.policy.security.redaction import MIN_KNOWN

if TYPE_CHECKING:
    from mcp_types import (
        BlobResourceContents,
        GetPromptResult,
        Prompt,
        Resource,
        ResourceTemplate,
        TextResourceContents,
    )

T = TypeVar("T", bound=Frozen)


def bounded(found: Iterable[Any], shown: Callable[[Any, Sequence[str]], T | None], secrets: Sequence[str]) -> list[T]:
    """What of a list can be told, within ``MAX_LISTED_BYTES``."""
    items: list[T] = []
    room = MAX_LISTED_BYTES
    for one in found:
        item = shown(one, secrets)
        if item is None:
            continue
        size = len(item.model_dump_json())
        if size > room:
            break
        room -= size
        items.append(item)
    return items


def resource(one: Resource, secrets: Sequence[str]) -> McpResource | None:
    """A resource; None of one whose URI cannot be asked for."""
    if not _is_uri(one.uri):
        return None
    return McpResource(
        uri=one.uri,
        **_described(one, secrets),
        size=one.size if one.size is not None and 0 <= one.size < 2**53 else None,
    )


def template(one: ResourceTemplate, secrets: Sequence[str]) -> McpResourceTemplate | None:
    """A template; None of one whose pattern cannot be filled in."""
    if not _is_uri(one.uri_template):
        return None
    return McpResourceTemplate(
        uri_template=one.uri_template,
        **_described(one, secrets),
    )


def prompt(one: Prompt, secrets: Sequence[str]) -> McpPrompt | None:
    """A prompt; None of one that cannot be asked for by its name."""
    arguments = one.arguments or []
    names = {argument.name for argument in arguments}
    if not _is_name(one.name) or len(arguments) > MAX_ARGUMENTS or not all(map(_is_name, names)):
        return None
    return McpPrompt(
        name=one.name,
        title=_title(one.title, secrets),
        description=_about(one.description, secrets),
        arguments=tuple(
            McpArgument(
                name=argument.name,
                description=_about(argument.description, secrets),
                required=bool(argument.required),
            )
            for argument in arguments
        ),
    )


def content(one: TextResourceContents | BlobResourceContents, secrets: Sequence[str]) -> McpContent:
    """A content of a resource.

    Raises:
        ValueError: what it gives as base64 is none.
    """
    uri = one.uri if _is_uri(one.uri) else ""
    kind = media_type(one.mime_type)
    if hasattr(one, "text"):
        return McpContent(uri=uri, media_type=kind, text=plain(one.text, secrets))  # pyright: ignore[reportAttributeAccessIssue]
    blob: str = one.blob  # pyright: ignore[reportAttributeAccessIssue]
    return McpContent(uri=uri, media_type=kind, blob=base64.b64encode(decoded(blob)).decode())


def decoded(blob: str) -> bytes:
    """Bytes from base64.

    Raises:
        ValueError: it is none.
    """
    try:
        return base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a content is not valid base64") from None


def prompt_text(result: GetPromptResult, secrets: Sequence[str]) -> McpPromptText:
    """A prompt that the server has made. Sound, and images that no model takes, are named."""
    messages = [
        Message(role=Role(one.role), content=(block,))
        for one in result.messages
        if (block := _block(one.content, secrets)) is not None
    ]
    return McpPromptText(description=_about(result.description, secrets), messages=tuple(messages))


def _block(block: Any, secrets: Sequence[str]) -> TextBlock | ImageBlock | None:
    match block.type:
        case "text":
            return TextBlock(text=plain(block.text, secrets))
        case "image":
            return image(block.mime_type, block.data) or TextBlock(text=f"[Image: {block.mime_type[:80]}]")
        case "audio":
            return TextBlock(text=f"[Audio: {block.mime_type[:80]}]")
        case "resource_link":
            return TextBlock(text=f"[Resource: {hidden(block.uri, secrets)}]")
        case "resource":
            inner = block.resource
            if hasattr(inner, "text"):
                return TextBlock(text=plain(inner.text, secrets))
            return image(inner.mime_type or "", inner.blob) or TextBlock(
                text=f"[Resource: {hidden(inner.uri, secrets)}]"
            )
        case _:
            return None


def plain(text: str, secrets: Sequence[str]) -> str:
    """A text that can be written down: no zero characters, and no secrets that are long enough to be no words."""
    for secret in secrets:
        if len(secret) >= MIN_KNOWN:
            text = text.replace(secret, "***")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def _described(one: Resource | ResourceTemplate, secrets: Sequence[str]) -> dict[str, Any]:
    return {
        "name": hidden(one.name, secrets)[:MAX_NAME_CHARS],
        "title": _title(one.title, secrets),
        "description": _about(one.description, secrets),
        "media_type": media_type(one.mime_type),
    }


def _is_uri(text: str) -> bool:
    return 0 < len(text) <= MAX_URI_CHARS and text.isprintable()


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME_CHARS and text.isprintable()


def _title(text: str | None, secrets: Sequence[str]) -> str | None:
    return hidden(text, secrets)[:MAX_NAME_CHARS] if text else None


def _about(text: str | None, secrets: Sequence[str]) -> str | None:
    return hidden(text, secrets)[:MAX_ABOUT_CHARS] if text else None
