"""The protocol that model, tool and MCP hosts share: between sessions that ask for effects and what carries them out.

Above are the actors that put it on sockets and behind Ray methods; below an ``Executor`` that knows models or tools.
"""

from __future__ import annotations

from actors.effect_host.host import EffectHost
from actors.effect_host.ports import DeltaPage, Executor, HostLimits, HostStats, ResultSink

__all__ = ["DeltaPage", "EffectHost", "Executor", "HostLimits", "HostStats", "ResultSink"]
