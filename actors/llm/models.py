"""The models that can be named without further settings, for listings."""

from __future__ import annotations

from importlib.util import find_spec

from actors.domain.llm import LlmConfig
from actors.session.runtime import ModelInfo

_KNOWN = (
    ("anthropic", "claude-sonnet-4-20250514"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("local", "smollm2-135m-instruct"),
    ("scripted", "echo"),
    ("scripted", "prompt"),
)


def known_models(default: LlmConfig | None, keys: frozenset[str]) -> tuple[ModelInfo, ...]:
    """The default model first, then the well-known ones.

    Args:
        keys: Providers whose key is configured.
    """
    found = {
        f"{provider}/{model}": ModelInfo(
            name=f"{provider}/{model}",
            provider=provider,
            ready=_is_ready(provider, keys),
            default=default is not None and default.name == f"{provider}/{model}",
        )
        for provider, model in _KNOWN
    }
    if default is not None and default.name not in found:
        known = default.credential_id is not None or default.base_url is not None
        ready = known or _is_ready(default.provider, keys)
        found[default.name] = ModelInfo(name=default.name, provider=default.provider, ready=ready, default=True)
    return tuple(sorted(found.values(), key=lambda one: (not one.default, one.name)))


def _is_ready(provider: str, keys: frozenset[str]) -> bool:
    if provider == "local":
        return find_spec("xllamacpp") is not None
    return provider == "scripted" or provider in keys
