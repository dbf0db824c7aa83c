"""The application behind Ray Serve: between a running runtime and a port on this machine."""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
import os
import socket
import time
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from actors.effect_host.guarded import Vault
from actors.errors import InvalidConfig, PortInUse
from actors.manager import SessionManager
from actors.settings import Settings
from actors.withheld_logs import withhold_in_logs
from serve_app.app import create_app
from serve_app.auth import Keyring, is_loopback

MAX_ONGOING_REQUESTS = 1000
"""Requests that one replica serves at a time: each viewer of a stream holds one for as long as it looks on."""

MAX_QUEUED_REQUESTS = 1000
"""Requests that wait at the proxy for a replica; beyond that it answers 503."""

GRACEFUL_STOP_S = 2.0
"""How long a stopping replica waits for its requests: streams do not end by themselves, and turns do not need them."""

STOP_TIMEOUT_S = 30.0
"""Longest wait for Ray Serve to end; the same as its own."""

_STOP_POLL_S = 0.1

CONSTRUCTOR_ATTEMPTS = 3
"""Serve's own 20 would hide a runtime that is gone behind minutes of silence."""


def prepare_environment() -> None:
    """Set what Ray reads when its processes start. To be called before Ray is; a value of the caller's wins.

    The HAProxy of Ray Serve listens on every interface, so it stays off whatever the environment says.
    """
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "0"
    os.environ["RAY_SERVE_ENABLE_DIRECT_INGRESS"] = "0"


def check_exposure(settings: Settings) -> None:
    """Refuse to listen to other machines without a key.

    Raises:
        InvalidConfig: the host is not loopback and no API key is configured.
    """
    if not is_loopback(settings.host) and not Keyring.of(settings.api_keys):
        raise InvalidConfig(
            f"Host {settings.host} can be reached from other machines, and no API key is configured. Set "
            "GREENROOM_API_KEYS, or use --host 127.0.0.1."
        )


def check_port(host: str, port: int) -> None:
    """Find out whether the port can be listened on, before anything is started.

    Ray Serve's proxy binds with SO_REUSEPORT: without this a second service would take half of the first one's
    connections.

    Raises:
        PortInUse: something listens there.
        InvalidConfig: the address is none of this machine, or the port needs more rights.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(host, port) from None
            raise InvalidConfig(
                f"Cannot listen on {host}, port {port} ({error.strerror}). Choose others with --host and --port."
            ) from None


class Gateway:
    """One replica: the application over a manager that has joined the runtime.

    Args:
        settings: Without any key; see ``public``.
        keyring: Digests of the accepted API keys.
    """

    async def __init__(self, settings: Settings, tenant: str, keyring: Keyring) -> None:
        if is_loopback(settings.host):
            _keep_replica_on_loopback()
        vault = Vault()
        withhold_in_logs(lambda: vault.known)
        self._manager = await SessionManager.connect(settings=settings, tenant=tenant)
        self._keyring = keyring

    def __serve_build_asgi_app__(self) -> FastAPI:
        """What Ray Serve calls for the application."""
        return create_app(self._joined, self._keyring)

    async def _joined(self) -> SessionManager:
        return self._manager


def _keep_replica_on_loopback() -> None:
    """Move this replica's port for calls between deployments to loopback.

    Serve opens it on every interface once the constructor is through, and has no setting for it. Nobody calls it here:
    there is one deployment, and the proxy reaches it by actor calls.
    """
    server_class = importlib.import_module("grpc.aio._server").Server
    add_port = server_class.add_insecure_port

    def on_loopback(server: Any, address: str) -> int:
        return add_port(server, address.replace("[::]:", "127.0.0.1:"))

    server_class.add_insecure_port = on_loopback


def public(settings: Settings) -> Settings:
    """The settings without keys: Serve writes a deployment's arguments into the cluster's memory."""
    return settings.model_copy(update={"api_keys": (), "openai_api_key": None, "anthropic_api_key": None})


@dataclass(frozen=True, slots=True)
class Service:
    """A running HTTP service. ``owns_serve``: Ray Serve was started for it and ends with it."""

    url: str
    app_name: str
    owns_serve: bool

    async def stop(self) -> None:
        """Stop answering. Sessions and their turns go on."""
        if self.owns_serve:
            await asyncio.to_thread(_stop_serve)
        else:
            from ray import serve

            await asyncio.to_thread(serve.delete, self.app_name)


def _stop_serve() -> None:
    """End Ray Serve, and wait until its controller is gone.

    ``serve.shutdown`` waits in a call that fails on purpose when the controller ends, which Ray then reports to the
    terminal as an error.
    """
    import ray

    latest = time.monotonic() + STOP_TIMEOUT_S
    controller = _serve_controller()
    if controller is None:
        return
    ray.get(controller.graceful_shutdown.remote(wait=False), timeout=STOP_TIMEOUT_S)
    while _serve_controller() is not None and time.monotonic() < latest:
        time.sleep(_STOP_POLL_S)


def _serve_controller() -> Any:
    import ray

    try:
        return ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve")
    except ValueError:
        return None


async def start_service(settings: Settings, *, tenant: str) -> Service:
    """Start the HTTP service of a runtime that is running in this Ray cluster.

    A Serve instance that runs in the cluster already keeps its own address.

    Raises:
        PortInUse, InvalidConfig: see ``check_port`` and ``check_exposure``.
    """
    check_exposure(settings)
    keyring = Keyring.of(settings.api_keys)
    app_name = f"greenroom-{settings.runtime}"
    return await asyncio.to_thread(_start, public(settings), tenant, keyring, app_name)


def _start(settings: Settings, tenant: str, keyring: Keyring, app_name: str) -> Service:
    from ray import serve

    # Importing it sets the level; it reports progress to a terminal in words of its own.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    owns_serve = not serve.status().proxies
    if owns_serve:
        check_port(settings.host, settings.port)
        serve.start(
            proxy_location="HeadOnly",
            http_options={"host": settings.host, "port": settings.port, "request_timeout_s": None},
            logging_config={"enable_access_log": False},
        )
    deployment = serve.deployment(
        name="gateway",
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        max_queued_requests=MAX_QUEUED_REQUESTS,
        graceful_shutdown_timeout_s=GRACEFUL_STOP_S,
        graceful_shutdown_wait_loop_s=0.2,
        max_constructor_retry_count=CONSTRUCTOR_ATTEMPTS,
        ray_actor_options={"num_cpus": 0},
    )(serve.ingress()(Gateway))
    serve.run(deployment.bind(settings, tenant, keyring), name=app_name, route_prefix="/")
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    return Service(f"http://{shown}:{settings.port}", app_name, owns_serve)
