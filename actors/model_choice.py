"""From what a user configures to what may be journaled: somebody serves the model, and keys and secrets stay out."""

from __future__ import annotations

from actors.checks import checked_config
from actors.domain.llm import LlmConfig
from actors.domain.session import SessionConfig
from actors.errors import InvalidConfig
from actors.policy.security.configured import secret_in
from actors.policy.security.guard import Guard
from actors.session.runtime import Runtime


def as_model(llm: LlmConfig | str | None) -> LlmConfig | None:
    """A model by its name, or as it is given."""
    return LlmConfig.of(llm) if isinstance(llm, str) else llm


async def known_config(runtime: Runtime, config: SessionConfig) -> SessionConfig:
    """A configuration that a session can be made with: it may be written down, its model and workspace are known.

    Raises:
        InvalidConfig, UnknownProvider.
    """
    checked_config(config)
    await runtime.check_security(config.security)
    security = config.security_in_force(await runtime.security())
    why = secret_in(Guard(security), config) if security is not None else None
    if why is not None:
        raise InvalidConfig(why)
    if config.workspace:
        await runtime.check_workspace(config.workspace)
    return await with_known_model(runtime, config)


async def with_known_model(runtime: Runtime, config: SessionConfig) -> SessionConfig:
    """A configuration whose model is known, and which has no key in it.

    Raises:
        UnknownProvider.
    """
    if config.model is None:
        return config
    return config.model_copy(update={"model": await known_model(runtime, config.model)})


async def known_model(runtime: Runtime, model: LlmConfig | str) -> LlmConfig:
    """A model that can be journaled: somebody serves it, and its key is with the runtime instead of in it."""
    config = LlmConfig.of(model) if isinstance(model, str) else model
    await runtime.check_model(config)
    if config.api_key is None:
        return config
    credential_id = await runtime.put_credential(config.api_key)
    return config.model_copy(update={"api_key": None, "credential_id": credential_id})
