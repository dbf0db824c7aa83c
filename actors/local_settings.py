"""The part of a runtime in one process that follows from its settings: what counts for all sessions."""

from __future__ import annotations

import os

from actors.checks import checked_directory
from actors.domain.llm import LlmConfig
from actors.domain.permissions import PermissionPolicy
from actors.domain.security import SecurityConfig
from actors.inspection.inspectors import Inspectors
from actors.llm.catalogue import check_provider
from actors.settings import Settings


class LocalSettings:
    """What a ``Runtime`` says of its settings, and what it refuses by them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workspace = settings.workspace or os.getcwd()
        self._inspectors = Inspectors()

    async def check_model(self, model: LlmConfig) -> None:
        """See ``Runtime.check_model``."""
        check_provider(model)

    async def check_workspace(self, path: str) -> None:
        """See ``Runtime.check_workspace``."""
        await checked_directory(path)

    async def check_security(self, config: SecurityConfig | None) -> None:
        """See ``Runtime.check_security``."""
        await self._inspectors.check(config)

    async def global_policy(self) -> PermissionPolicy | None:
        """See ``Runtime.global_policy``."""
        return self._settings.permission_policy

    async def security(self) -> SecurityConfig | None:
        """See ``Runtime.security``."""
        return self._settings.security

    async def workspace(self) -> str:
        """See ``Runtime.workspace``."""
        return self._workspace
