"""Finding the host of a session's model, over whatever is being restarted meanwhile."""

from __future__ import annotations

import asyncio
import logging

from actors.domain.calls import HostRef
from actors.domain.llm import LlmConfig
from actors.errors import GreenroomError, InternalError, ModelUnavailable, NoModel, UnknownProvider
from actors.session.ports import Hosts

log = logging.getLogger(__name__)

FIND_HOST_FIRST_S, FIND_HOST_MAX_S = 0.05, 2.0
"""Bounds of the back-off while nobody can say where the model's host is."""


async def find_model_host(hosts: Hosts, model: LlmConfig | None, session_id: str) -> HostRef | tuple[str, str]:
    """The host, or error code and sentence when there can be none; asks until the answer is final."""
    delay = FIND_HOST_FIRST_S
    while True:
        try:
            if model is None:
                raise NoModel(session_id)
            return await hosts.model_host(model.provider)
        except (NoModel, UnknownProvider, ModelUnavailable) as exc:
            return exc.code, exc.message
        except GreenroomError as exc:
            log.info("session %s looks for its model's host again: %s", session_id, exc)
        except Exception as exc:
            log.exception("session %s cannot look for its model's host", session_id)
            defect = InternalError(type(exc).__name__)
            return defect.code, defect.message
        await asyncio.sleep(delay)
        delay = min(delay * 2, FIND_HOST_MAX_S)
