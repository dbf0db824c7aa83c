"""The tool ``web_fetch``: a page of the public internet as text."""

from __future__ import annotations

from typing import Any

from actors.domain.calls import ToolOutcome
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import ToolError
from actors.tools.base import MAX_OUTPUT_BYTES, Tool, ToolContext, schema, succeeded
from actors.tools.threads import in_thread
from actors.tools.web.addresses import MAX_URL_CHARS, checked_url
from actors.tools.web.fetching import MAX_BYTES, Fetcher
from actors.tools.web.pages import readable

DEFAULT_TIMEOUT_S = 30
MAX_TIMEOUT_S = 120

DEFAULT_CHARS = 40_000
"""About ten thousand tokens: a long article."""

_NOTICE_BYTES = 512


class WebFetchTool(Tool):
    """Fetches a page.

    Args:
        fetcher: Gets pages; the default one connects to public addresses only.
    """

    definition = ToolDefinition(
        name="web_fetch",
        description=(
            "Fetch a page of the public internet and read it as markdown, plain text or HTML source. A long page is "
            "read on with offset."
        ),
        parameters=schema(
            {
                "url": {"type": "string", "maxLength": MAX_URL_CHARS, "description": "An http or https URL."},
                "format": {"enum": ["markdown", "text", "html"], "default": "markdown"},
                "timeout": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_TIMEOUT_S,
                    "default": DEFAULT_TIMEOUT_S,
                    "description": "Seconds.",
                },
                "offset": {"type": "integer", "minimum": 0, "default": 0, "description": "Characters to skip."},
                "max_chars": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_OUTPUT_BYTES,
                    "default": DEFAULT_CHARS,
                    "description": "Characters to read.",
                },
            },
            "url",
        ),
        effect=EffectClass.pure,
        timeout_s=MAX_TIMEOUT_S + 10,
    )

    def __init__(self, fetcher: Fetcher | None = None) -> None:
        self._fetcher = fetcher or Fetcher()

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Fetch it. A page that says it is an error is one, with what it says."""
        url = checked_url(args["url"], self._fetcher.allowed)
        timeout_s = min(float(args.get("timeout", DEFAULT_TIMEOUT_S)), ctx.timeout_s)
        page = await self._fetcher.get(url, timeout_s=timeout_s)
        text = await in_thread(lambda: readable(page, args.get("format", "markdown")))
        if page.status >= 400:
            raise ToolError(f"{page.url} answered {page.status}. {text[:500]}".strip())
        offset = args.get("offset", 0)
        if offset and offset >= len(text):
            raise ToolError(f"The page has {len(text)} characters; offset {offset} is past its end.")
        shown = _within(text[offset : offset + args.get("max_chars", DEFAULT_CHARS)])
        rest = len(text) - offset - len(shown)
        told = f"\n\n[{rest} more characters: read on with offset {offset + len(shown)}]" if rest else ""
        if page.cut:
            told += f"\n\n[The page is larger than {MAX_BYTES >> 20} MiB: its end was not read.]"
        return succeeded(shown + told, url=page.url, status=page.status, media_type=page.media_type)


def _within(text: str) -> str:
    """As much of the text as a result has room for."""
    raw = text.encode(errors="replace")
    return (
        raw[: MAX_OUTPUT_BYTES - _NOTICE_BYTES].decode(errors="ignore")
        if len(raw) > MAX_OUTPUT_BYTES - _NOTICE_BYTES
        else text
    )
