"""The tool ``web_search``, and the port behind it: who searches is the operator's choice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import urlencode, urlsplit

from actors.domain.calls import ToolOutcome
from actors.domain.tools import EffectClass, ToolDefinition
from actors.errors import InvalidConfig, ToolError
from actors.tools.base import Tool, ToolContext, capped, schema, succeeded
from actors.tools.web.fetching import Fetcher

MAX_RESULTS = 50
DEFAULT_RESULTS = 10
MAX_QUERY_CHARS = 500
TIMEOUT_S = 30.0

_TITLE_CHARS = 200
_SNIPPET_CHARS = 500


class SearchHit(NamedTuple):
    """One result."""

    title: str
    url: str
    snippet: str = ""


class SearchProvider(Protocol):
    """Whoever searches the web."""

    async def search(self, query: str, *, limit: int, timeout_s: float) -> Sequence[SearchHit]:
        """The best results first; more than ``limit`` are not looked at.

        Raises:
            ToolError: it cannot be done; the sentence goes to the model.
        """
        ...


class SearXNG:
    """An instance of SearXNG with its JSON format switched on, which asks many engines and ranks what they find.

    Args:
        url: The instance's root. It is the operator's, so it may be in a private network.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._fetcher = Fetcher(allowed=lambda _: True)

    async def search(self, query: str, *, limit: int, timeout_s: float) -> Sequence[SearchHit]:
        """See ``SearchProvider``."""
        del limit
        asked = f"{self._url}/search?{urlencode({'q': query, 'format': 'json'})}"
        page = await self._fetcher.get(asked, accept="application/json", timeout_s=timeout_s)
        if page.status != 200:
            raise ToolError(f"The search service answered {page.status}.")
        try:
            results = cast("list[Any]", json.loads(page.body)["results"])
            return [_hit(one) for one in results]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ToolError("The search service gave no list of results: is its JSON format switched on?") from None


def _hit(result: Any) -> SearchHit:
    return SearchHit(str(result.get("title") or ""), str(result["url"]), str(result.get("content") or ""))


def search_provider(named: str | None) -> SearchProvider | None:
    """The provider that a setting names: the URL of a SearXNG instance, or ``package.module:name``.

    Raises:
        InvalidConfig: it is neither.
    """
    if not named:
        return None
    if urlsplit(named).scheme in {"http", "https"}:
        return SearXNG(named)
    module, colon, name = named.partition(":")
    try:
        found = getattr(import_module(module), name) if colon else None
        provider = found() if isinstance(found, type) else found
    except Exception as error:
        raise InvalidConfig(f"The search provider {named!r} cannot be loaded ({type(error).__name__}).") from error
    if not hasattr(provider, "search"):
        raise InvalidConfig(f"{named!r} names no search provider: give a URL of SearXNG, or package.module:name.")
    return cast("SearchProvider", provider)


class WebSearchTool(Tool):
    """Searches the web.

    Args:
        provider: Who searches; without one, calls say that there is none.
    """

    definition = ToolDefinition(
        name="web_search",
        description="Search the web. Gives titles, addresses and snippets, the best first; read pages with web_fetch.",
        parameters=schema(
            {
                "query": {"type": "string", "minLength": 1, "maxLength": MAX_QUERY_CHARS},
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_RESULTS, "default": DEFAULT_RESULTS},
            },
            "query",
        ),
        effect=EffectClass.pure,
        timeout_s=TIMEOUT_S + 10,
    )

    def __init__(self, provider: SearchProvider | None = None) -> None:
        self._provider = provider

    async def run(self, args: dict[str, Any], ctx: ToolContext) -> ToolOutcome:
        """Search; results with the same address are one."""
        if self._provider is None:
            raise ToolError("No search is set up here: the operator names one with GREENROOM_WEB_SEARCH.")
        limit = args.get("limit", DEFAULT_RESULTS)
        hits = await self._provider.search(args["query"], limit=limit, timeout_s=min(TIMEOUT_S, ctx.timeout_s))
        first = {hit.url: hit for hit in reversed(hits)}
        best = [first[url] for url in dict.fromkeys(hit.url for hit in hits)][:limit]
        if not best:
            return succeeded("Nothing was found.", results=0)
        return succeeded(capped("\n\n".join(map(_shown, range(1, len(best) + 1), best))), results=len(best))


def _shown(number: int, hit: SearchHit) -> str:
    title, snippet = (" ".join(text.split()) for text in (hit.title, hit.snippet))
    lines = [f"{number}. {title[:_TITLE_CHARS] or hit.url}", f"   {hit.url}"]
    return "\n".join(lines + ([f"   {snippet[:_SNIPPET_CHARS]}"] if snippet else []))
