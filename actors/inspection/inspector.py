"""One security provider of a user, in a process of its own that can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError

from actors.domain.inspection import Inspection
from actors.errors import InvalidConfig, SecurityUnavailable
from actors.tools.environment import command_environment

LOAD_S: Final = 30.0
"""Longest time for loading: a model of some hundred MB comes from the disk."""

ANSWER_S: Final = 10.0
"""Longest wait for the answer about the texts of one call or command, waiting for one's turn included."""

PAUSE_S: Final = 10.0
"""After a provider could not be loaded, or did not answer, it is not started again for so long."""

MAX_CHARS: Final = 8 * 1024 * 1024
"""Texts of one question together: what a tool gives has half of that at most."""

_WORKER: Final = str(Path(__file__).with_name("worker.py"))
_LINE_BYTES: Final = 64 * 1024 * 1024
_INSPECTIONS: TypeAdapter[list[Inspection]] = TypeAdapter(list[Inspection])


class Inspector:
    """Asks one provider, one question after the other; its process is started when it is first needed.

    Args:
        reference: The provider's import string.
    """

    def __init__(self, reference: str, *, load_s: float = LOAD_S, answer_s: float = ANSWER_S) -> None:
        self.reference = reference
        self._load_s = load_s
        self._answer_s = answer_s
        self._process: asyncio.subprocess.Process | None = None
        self._not_before = 0.0
        self._why = ""
        self._turn = asyncio.Lock()

    async def load(self) -> None:
        """Start it, unless it runs.

        Raises:
            InvalidConfig: it cannot be loaded.
        """
        async with self._turn:
            if not self._runs:
                await self._start()

    async def inspect(self, texts: Sequence[str]) -> list[Inspection]:
        """What the provider finds in each text.

        Raises:
            SecurityUnavailable: it cannot be loaded, does not answer in time, or what it says is of no use.
        """
        if sum(map(len, texts)) > MAX_CHARS:
            raise SecurityUnavailable(self.reference, "there is too much to look through")
        try:
            async with asyncio.timeout(self._load_s + self._answer_s), self._turn:
                if not self._runs:
                    await self._start()
                return await self._asked(texts)
        except TimeoutError:
            raise SecurityUnavailable(self.reference, "others wait for it") from None
        except InvalidConfig as error:
            raise SecurityUnavailable(self.reference, error.message) from None

    async def retire(self) -> None:
        """End its process as soon as those that wait for it have their answers; when cancelled, at once."""
        try:
            async with self._turn:
                pass
        finally:
            await self.close()

    async def close(self) -> None:
        """End its process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    @property
    def _runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def _start(self) -> None:
        await self.close()
        now = asyncio.get_running_loop().time()
        if now < self._not_before:
            raise InvalidConfig(self._why)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "ignore", _WORKER, self.reference, json.dumps([os.getcwd(), *filter(None, sys.path)])),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=command_environment(os.environ),
            limit=_LINE_BYTES,
            start_new_session=True,
        )
        answer = await self._answer(self._load_s)
        if "ready" not in answer:
            await self._give_up(str(answer.get("error", "it does not start")))
            raise InvalidConfig(f"Security provider {self.reference!r} cannot be loaded: {self._why}.")

    async def _asked(self, texts: Sequence[str]) -> list[Inspection]:
        assert self._process is not None and self._process.stdin is not None
        answer: dict[str, Any] = {}
        try:
            self._process.stdin.write(json.dumps(list(texts)).encode() + b"\n")
            answer = await self._answer(self._answer_s)
            inspections = _INSPECTIONS.validate_python(answer.get("inspections"))
            if len(inspections) != len(texts) or not all(map(_fits, texts, inspections)):
                raise ValueError("places that are not in the text")
            return inspections
        except (ValidationError, ValueError):
            # What it says may repeat the text, and so is not told.
            why = f"it failed ({answer['error']})" if "error" in answer else "what it says is of no use"
            if "error" not in answer or answer["error"] in _ENDED:
                await self._give_up(why)
            raise SecurityUnavailable(self.reference, why) from None

    async def _answer(self, limit_s: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        try:
            async with asyncio.timeout(limit_s):
                return cast("dict[str, Any]", json.loads(await self._process.stdout.readline()))
        except asyncio.CancelledError:
            # What nobody waits for any more would be taken for the answer to the next question.
            await asyncio.shield(self.close())
            raise
        except TimeoutError:
            return {"error": _SLOW}
        except (ValueError, OSError):
            return {"error": _GONE}

    async def _give_up(self, why: str) -> None:
        self._why = why
        self._not_before = asyncio.get_running_loop().time() + PAUSE_S
        await self.close()


_SLOW: Final = "it does not answer in time"
_GONE: Final = "its process ended"
_ENDED: Final = {_SLOW, _GONE}


def _fits(text: str, inspection: Inspection) -> bool:
    return all(finding.start < finding.end <= len(text) for finding in inspection.findings)
