"""``greenroom serve``: starts what is needed on this machine, in order, and ends it in the opposite order."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from rich.text import Text

from actors.domain.ids import DEFAULT_TENANT
from actors.errors import InvalidConfig
from actors.settings import LOCAL_MODEL, Settings
from serve_app.deployment import check_exposure, check_port, prepare_environment, start_service
from serve_app.terminal import err, out, say

if TYPE_CHECKING:
    from actors.manager import SessionManager


def serve(given: dict[str, Any]) -> None:
    """Run the service until SIGINT or SIGTERM.

    Raises:
        PortInUse, StoreInUse, StoreNotWritable, StoreCorrupt, RuntimeExists, InvalidConfig: it cannot start.
    """
    settings = settings_of(given)
    place = _place(settings)
    check_exposure(settings)
    check_port(settings.host, settings.port)
    prepare_environment()
    # It warns of signal handlers that are ours.
    logging.getLogger("ray._private.worker").setLevel(logging.ERROR)
    asyncio.run(_serve(settings, place))


def settings_of(given: dict[str, Any]) -> Settings:
    """Settings from the environment, with what was given on the command line on top.

    Raises:
        InvalidConfig: one of them is not valid; the sentence names it and never its value.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "_".join(str(part) for part in first["loc"]) or "settings"
        raise InvalidConfig(f"Setting {name} (GREENROOM_{name.upper()}): {first['msg']}.") from None


async def _serve(settings: Settings, place: str) -> None:
    ended = asyncio.Event()
    _end_on_signals(ended)
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(_start(settings, place, stack))
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            say("Stopping as soon as the start is through.", "dim")
        await starting
        # Ray has put its own handlers, which print a trace, in front of ours.
        _end_on_signals(ended)
        await waiting
        say("Stopping.", "dim")
    say("Stopped. Sessions are kept and go on with the next 'greenroom serve'.", "dim")


def _end_on_signals(ended: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)


async def _start(settings: Settings, place: str, stack: AsyncExitStack) -> None:
    model = settings.service_model()
    with err().status("Starting Ray (this takes some seconds)"):
        manager = await _runtime(settings, model)
        stack.push_async_callback(manager.close)
    with err().status("Starting the HTTP service"):
        service = await start_service(settings, tenant=DEFAULT_TENANT)
        stack.push_async_callback(service.stop)
    out().print(Text.assemble("Greenroom is running at ", (service.url, "bold underline")), soft_wrap=True)
    say(f"Model {model}, data in {place}. Ctrl-C stops it.", "dim")
    if model == LOCAL_MODEL:
        say("No provider key is configured, so a small local model answers. It loads with the first question.", "dim")


def _place(settings: Settings) -> str:
    """Where the data is, without the credentials of a URL.

    Raises:
        InvalidConfig: there can be no store.
    """
    from actors.storage.open import location_of

    return location_of(settings.store_url or str(settings.data_dir))


async def _runtime(settings: Settings, model: str) -> SessionManager:
    from actors.manager import SessionManager

    if settings.store_url:
        return await SessionManager.with_store(model, settings.store_url, settings=settings)
    return await SessionManager.with_persistence(model, Path(settings.data_dir), settings=settings)
