"""Which key goes with a model call: between a runtime's keys and the providers they are for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import SecretStr

from actors.domain.ids import new_ulid
from actors.domain.llm import LlmConfig
from actors.errors import CredentialMissing

CREDENTIAL = "cred_"
"""How the ids begin that the runtime gives to keys; other names are those of providers."""

Keys = Callable[[str], Awaitable[SecretStr | None]]
"""A key by provider name or credential id."""


def credentials(keys: Keys) -> Callable[[LlmConfig], Awaitable[SecretStr | None]]:
    """How a host finds the key for a model.

    What it gives raises CredentialMissing for a key that was given and is not there any more: without it nothing is
    sent.
    """

    async def key_of(config: LlmConfig) -> SecretStr | None:
        if config.credential_id is not None:
            # The name of a provider is no credential: a session could name one together with its own address.
            found = await keys(config.credential_id) if is_credential(config.credential_id) else None
            if found is None:
                raise CredentialMissing(config.name, config.credential_id)
            return found
        # The runtime's own key is for the provider's own server, never for an address that a session names.
        return await keys(config.provider) if config.base_url is None else None

    return key_of


def new_credential_id() -> str:
    """An id for a key."""
    return f"{CREDENTIAL}{new_ulid()}"


def is_credential(name: str) -> bool:
    """Whether the name is a credential id and not a provider's."""
    return name.startswith(CREDENTIAL)
