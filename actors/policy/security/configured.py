"""Whether a configuration may be written down: it is kept as it is given, and so has no secret in it. Pure."""

from __future__ import annotations

from actors.domain.session import SessionConfig
from actors.policy.security.guard import Guard


def secret_in(guard: Guard, config: SessionConfig) -> str | None:
    """Why it is refused, as a sentence; None when it is not."""
    for name in ("name", "system_prompt", "metadata"):
        found = guard.secrets_in(getattr(config, name))
        if found:
            return (
                f"{name} holds a secret ({', '.join(found)}), and would be kept as it is given. "
                f"Give it to the tool that needs it, in its environment."
            )
    return None
