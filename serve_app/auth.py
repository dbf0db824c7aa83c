"""Who may talk to the service: between request headers and a yes or a no. Knows no framework."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
"""What a Host or Origin header may name while no key is configured. A page of any other origin, or one that rebinds
its own DNS name to this machine, is refused."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The accepted API keys, as SHA-256 digests: a copy of this object gives no key away.

    Attributes:
        digests: Empty means that no key is configured.
    """

    digests: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, keys: Iterable[SecretStr]) -> Keyring:
        """The ring of these keys; empty ones are left out."""
        return cls(tuple(_digest(key.get_secret_value()) for key in keys if key.get_secret_value()))

    def __bool__(self) -> bool:
        return bool(self.digests)

    def admits(self, authorization: str | None) -> bool:
        """Whether an Authorization header carries ``Bearer`` and one of the keys; takes the same time for any key."""
        scheme, _, token = (authorization or "").partition(" ")
        offered = _digest(token.strip())
        matches = [hmac.compare_digest(offered, digest) for digest in self.digests]
        return scheme.lower() == "bearer" and any(matches)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is this machine only."""
    return host in LOOPBACK_NAMES


def is_local_host(header: str | None) -> bool:
    """Whether a Host header names this machine, with any port."""
    return header is not None and _host_of(f"//{header}") in LOOPBACK_NAMES


def is_local_origin(header: str | None) -> bool:
    """Whether an Origin header is absent (no browser) or names this machine, with any port."""
    return header is None or (header.startswith(("http://", "https://")) and _host_of(header) in LOOPBACK_NAMES)


def _host_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    return parts.hostname if plain else None
