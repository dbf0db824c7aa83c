"""The actor that calls models: HTTP connections, provider keys, and on a host of its own the embedded model."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pydantic import SecretStr

from actors.cluster.links import Links
from actors.cluster.registry_link import RegistryLink
from actors.effect_host import HostLimits
from actors.effect_host.guarded import Guarded, Vault
from actors.errors import GreenroomError
from actors.host_actor import HostActor
from actors.inspection.inspectors import Inspectors
from actors.llm.catalogue import ProviderPool
from actors.llm.executor import ModelExecutor
from actors.llm.keys import credentials, is_credential
from actors.peers import HostPeer, RuntimeInfo
from actors.storage.remote import RemoteStore

log = logging.getLogger(__name__)

RUNNING = 512
"""Model calls of one host at the same time: they wait for the network nearly all of the time."""


class ModelActor(HostActor):
    """A model host. Keys come from the registry, and stay in this process's memory."""

    async def open(self, info: RuntimeInfo, keys: dict[str, SecretStr]) -> HostPeer:
        """Take part in a runtime.

        Args:
            keys: By provider name or credential id.
        """
        if self._doors is None:
            links = Links(info.token.get_secret_value(), data_plane=info.data_plane)
            store = RemoteStore(links.to(info.store))
            self._registry = RegistryLink(info)
            self._keys = dict(keys)
            self._vault = Vault(key.get_secret_value() for key in keys.values())
            self._providers = ProviderPool(credentials(self._key))

            async def blobs(tenant: str, digests: frozenset[str]) -> Mapping[str, bytes]:
                return await store.blobs(tenant, sorted(digests))

            executor = Guarded(ModelExecutor(self._providers.of, blobs), self._vault, Inspectors())
            await self._start(info, "models", executor, HostLimits(running=RUNNING), links)
        peer = await self.describe()
        assert peer is not None, "it was just opened"
        return peer

    async def _key(self, name: str) -> SecretStr | None:
        """A key by provider name or credential id; one that a session brought is asked of the registry once."""
        if name not in self._keys and is_credential(name):
            found = await self._ask_for(name)
            if found is not None:
                self._keys[name] = found
                self._vault.add(found.get_secret_value())
        return self._keys.get(name)

    async def _ask_for(self, name: str) -> SecretStr | None:
        try:
            return await self._registry.ask("credential", name)
        except GreenroomError as exc:
            # A turn that waits for its key can be told to try again; one that has failed cannot.
            log.warning("no registry says whether there is key %s: %s", name, exc)
            return None

    async def keys(self) -> dict[str, SecretStr]:
        """The keys here, for a registry that has just restarted."""
        return dict(self._keys)
