"""The version of the installed distribution."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The version, or ``0+checkout`` when this runs from a checkout that was never installed."""
    try:
        return metadata.version("greenroom")
    except metadata.PackageNotFoundError:
        return "0+checkout"
