"""Boundary between the host's environment and the commands that a model writes: an allow-list, never a deny-list."""

from __future__ import annotations

import re
from collections.abc import Mapping

from actors.errors import InvalidConfig

_ALLOWED = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TERM", "TMPDIR", "USER", "LOGNAME", "SHELL", "TZ"})
_SECRET = re.compile(r"GREENROOM_.*|(.*_)?API_KEY|(OPENAI|ANTHROPIC)_.*", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""For a host that was started without any PATH."""


def command_environment(host: Mapping[str, str], extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command.

    Args:
        host: The host's own environment; a short list of harmless names is taken from it.
        extra: Names that the operator adds on purpose; they win.

    Raises:
        InvalidConfig: ``extra`` names a setting of Greenroom or a key of a model provider, or is malformed.
    """
    for name, value in (extra or {}).items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise InvalidConfig(f"{name!r} cannot be a variable of the commands' environment.")
        if _SECRET.fullmatch(name):
            raise InvalidConfig(f"{name} must not reach commands that a model writes; give it to the model host only.")
    chosen = {name: value for name, value in host.items() if name in _ALLOWED or name.startswith("LC_")}
    return {"PATH": _DEFAULT_PATH} | chosen | dict(extra or {})
