"""What a model reads of a page: markdown, plain text, or the source."""

from __future__ import annotations

import codecs
import re
from typing import Literal

from actors.errors import ToolError
from actors.tools.web.fetching import Page

Format = Literal["markdown", "text", "html"]

MAX_MARKUP_BYTES = 1024 * 1024
"""Of HTML that is made readable: the parser takes a second for it, and a page has its text in less."""

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXTUAL = re.compile(
    r"text/.*|application/(.*\+)?(json|xml)|application/(javascript|ecmascript|x-ndjson|yaml|x-yaml|toml|sql)"
)
_DECLARED = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_NOT_READ = ("script", "style", "noscript", "template", "svg", "iframe", "object", "head")
_BLANK_LINES = re.compile(r"[ \t]*\n(?:[ \t]*\n){2,}")


def readable(page: Page, form: Format) -> str:
    """The page's text. Blocks for up to a second or two.

    Raises:
        ToolError: it is no text.
    """
    html = page.media_type in _HTML or (not page.media_type and b"<html" in page.body[:1024].lower())
    if not html and page.media_type and not _TEXTUAL.fullmatch(page.media_type):
        raise ToolError(f"{page.url} is {page.media_type} of {len(page.body)} bytes, and no text.")
    if b"\0" in page.body[:4096] and not (page.charset or "").lower().startswith("utf-16"):
        raise ToolError(f"{page.url} is no text.")
    if not html or form == "html":
        return _decoded(page, page.body)
    return _markup(_decoded(page, page.body[:MAX_MARKUP_BYTES]), form)


def _decoded(page: Page, body: bytes) -> str:
    declared = _DECLARED.search(body[:2048])
    for name in (page.charset, declared[1].decode() if declared else None):
        try:
            return body.decode(codecs.lookup(name).name, errors="replace") if name else body.decode(errors="strict")
        except (LookupError, UnicodeDecodeError):
            continue
    return body.decode(errors="replace")


def _markup(html: str, form: Format) -> str:
    # Loaded when the first page is read: most hosts never read one.
    from bs4 import BeautifulSoup  # noqa: PLC0415
    from markdownify import MarkdownConverter  # noqa: PLC0415

    try:
        soup = BeautifulSoup(html, "html.parser")
        title = soup.title.get_text(" ", strip=True) if soup.title else ""
        for element in soup(_NOT_READ):
            element.decompose()
        if form == "text":
            text = soup.get_text("\n", strip=True)
        else:
            text = MarkdownConverter(heading_style="ATX", strip=["img"]).convert_soup(soup)
    except RecursionError:
        raise ToolError("The page is nested too deeply to be read. Fetch it as html.") from None
    head = f"# {title}\n\n" if title and form == "markdown" else f"{title}\n\n" if title else ""
    return head + _BLANK_LINES.sub("\n\n", text).strip()
