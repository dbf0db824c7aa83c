"""Which providers there are, and one client of each for many calls: between model names and what serves them.

Wires and the embedded model are imported when they are first asked for, as they are heavy.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from pydantic import SecretStr

from actors.domain.calls import Emit, ModelCall, ModelOutcome
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message
from actors.errors import Overloaded, UnknownProvider
from actors.llm.metering import Tell, untold
from actors.llm.provider import ModelProvider

known_providers: tuple[str, ...] = ("openai", "anthropic", "local", "scripted")
"""Providers that need no ``base_url``."""

MAX_CLIENTS = 64
"""Clients kept at the same time: each holds a pool of connections, and keys of a host's users are few."""

Credentials = Callable[[LlmConfig], Awaitable[SecretStr | None]]
MakeProvider = Callable[[LlmConfig, SecretStr | None], ModelProvider]


def check_provider(config: LlmConfig) -> None:
    """Raise UnknownProvider for a name that is none, without a ``base_url``."""
    if config.provider not in known_providers and not config.base_url:
        raise UnknownProvider(config.provider, known_providers)


def make_provider(config: LlmConfig, key: SecretStr | None) -> ModelProvider:
    """A client for the provider of ``config``; nothing is connected or loaded yet.

    Raises:
        UnknownProvider: neither known nor given a ``base_url``, with which any name speaks the OpenAI wire.
    """
    check_provider(config)
    if config.provider == "scripted":
        from actors.llm.scripted import ScriptedModel

        return ScriptedModel()
    if config.provider == "local":
        from actors.llm.local import LocalProvider

        return LocalProvider()
    if config.provider == "anthropic":
        from actors.llm.anthropic import AnthropicProvider

        return AnthropicProvider(config.provider, config.base_url, key)
    from actors.llm.openai import OpenAIProvider

    return OpenAIProvider(config.provider, config.base_url, key)


class _Client:
    """A provider and how many calls it is answering."""

    def __init__(self, provider: ModelProvider) -> None:
        self.calls = 0
        self._provider = provider

    async def run(
        self, call: ModelCall, messages: tuple[Message, ...], emit: Emit, tell: Tell = untold
    ) -> ModelOutcome:
        self.calls += 1
        try:
            return await self._provider.run(call, messages, emit, tell)
        finally:
            self.calls -= 1

    async def close(self) -> None:
        await self._provider.close()


class ProviderPool:
    """One client for each provider, server and key; the least recently used idle one makes room for a new one.

    Args:
        credentials: Gives the key for a model; None when there is none.
        make: Makes a client.
        limit: Clients kept.
    """

    def __init__(self, credentials: Credentials, make: MakeProvider = make_provider, limit: int = MAX_CLIENTS) -> None:
        self._credentials = credentials
        self._make = make
        self._limit = limit
        self._clients: OrderedDict[tuple[str, str | None, str], _Client] = OrderedDict()

    async def of(self, call: ModelCall) -> ModelProvider:
        """The client that answers a call.

        Raises:
            UnknownProvider: see ``make_provider``.
            Overloaded: so many clients are busy that there is no room for another.
        """
        key = await self._credentials(call.llm)
        name = (call.llm.provider, call.llm.base_url, _fingerprint(key))
        client = self._clients.get(name)
        if client is None:
            check_provider(call.llm)
            idle = self._make_room()
            client = self._clients[name] = _Client(self._make(call.llm, key))
            if idle is not None:
                await idle.close()
        self._clients.move_to_end(name)
        return client

    async def close(self) -> None:
        """Close every client."""
        clients = list(self._clients.values())
        self._clients.clear()
        for client in clients:
            await client.close()

    def _make_room(self) -> _Client | None:
        if len(self._clients) < self._limit:
            return None
        for name, client in self._clients.items():
            if not client.calls:
                return self._clients.pop(name)
        raise Overloaded("a model host talks to too many providers", 5.0)


def _fingerprint(key: SecretStr | None) -> str:
    """Tells keys apart without holding them in a place that could be printed."""
    return hashlib.sha256(key.get_secret_value().encode()).hexdigest() if key else ""
