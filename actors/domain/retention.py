"""How long what nobody uses is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

MAX_TTL_S = 100 * 366 * 86_400.0
"""A hundred years: for ever, for all that anybody here will know."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long sessions are kept that name no ``ttl_s`` of their own.

    Attributes:
        ttl_s: Seconds without use after which a session is destroyed; None keeps it.
        tenants: The same for the sessions of single tenants.
    """

    ttl_s: float | None = None
    tenants: Mapping[str, float] = field(default_factory=dict[str, float])

    def ttl_of(self, tenant: str) -> timedelta | None:
        """How long a tenant's sessions are kept; None: for ever."""
        seconds = self.tenants.get(tenant, self.ttl_s)
        return None if seconds is None else timedelta(seconds=seconds)
