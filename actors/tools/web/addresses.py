"""Which addresses a tool may connect to: those of the public internet, and never what the machine's own network has.

The address is looked at when its socket is made, after names were resolved and odd spellings of numbers were read: what
is looked at is what is connected to.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import AddrInfoType

from actors.errors import ToolError

MAX_URL_CHARS = 2048
"""What browsers and servers take."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
IsAllowed = Callable[[Address], bool]


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address in _LOCAL_NAT64 or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def checked_url(url: str, allowed: IsAllowed = is_public) -> str:
    """The URL, if a tool may fetch it as far as that can be told without asking for its name.

    Raises:
        ToolError: it is no http or https URL, carries credentials, or names an address that is not public.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ToolError("That is not a URL.") from None
    if parts.scheme not in {"http", "https"} or not host or len(url) > MAX_URL_CHARS:
        raise ToolError(f"Only http and https URLs of up to {MAX_URL_CHARS} characters can be fetched.")
    if parts.username is not None or parts.password is not None:
        raise ToolError("The URL must not carry credentials.")
    literal = _literal(host)
    if literal is not None and not allowed(literal):
        raise _not_public(host)
    return url


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _not_public(host: str) -> ToolError:
    return ToolError(f"{host[:100]} is not an address of the public internet, and is not connected to.")


class NotPublic(OSError):
    """A connection to an address that is not allowed, which was not made."""


def opened(address: AddrInfoType, allowed: IsAllowed) -> socket.socket:
    """A socket for one address, just before it is connected: whatever led there, nothing gets around this.

    Raises:
        NotPublic: the address is not allowed.
    """
    family, kind, protocol, _, where = address
    literal = _literal(str(where[0]))
    if literal is None or not allowed(literal):
        raise NotPublic(f"{where[0]} is not an address of the public internet, and is not connected to")
    return socket.socket(family, kind, protocol)
