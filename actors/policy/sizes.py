"""How long messages are, by estimate: true numbers come from the provider with its next answer. Pure."""

from __future__ import annotations

from actors.domain.messages import BlobTextBlock, ContentBlock, ImageBlock, Message, TextBlock, ToolResultBlock

BYTES_PER_TOKEN = 4
"""A usual estimate for text and code."""

IMAGE_TOKENS = 1200
"""Of an image, whose bytes say nothing about it: what providers count for one of a usual size."""


MESSAGE_TOKENS = 4
"""What providers put around each message."""


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has."""
    return len(text.encode()) // BYTES_PER_TOKEN


def weight(message: Message) -> int:
    """About how many tokens a message has, with the content that the store keeps of it."""
    return MESSAGE_TOKENS + sum(map(_tokens, message.content))


def output_tokens(block: ToolResultBlock) -> int:
    """The same of one tool's output."""
    content = block.content
    return estimate_tokens(content) if isinstance(content, str) else sum(map(_tokens, content))


def _tokens(block: ContentBlock) -> int:
    match block:
        case TextBlock():
            return estimate_tokens(block.text)
        case BlobTextBlock():
            return block.size // BYTES_PER_TOKEN
        case ImageBlock():
            return IMAGE_TOKENS
        case ToolResultBlock():
            return output_tokens(block)
        case _:
            return estimate_tokens(block.name + block.model_dump_json(include={"input"}))
