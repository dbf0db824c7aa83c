"""An independent user over HTTP: repeats requests with their Idempotency-Key, and reads events by cursor."""

from __future__ import annotations

import asyncio
import json
import random
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter

from actors.domain import records as r
from actors.domain.ids import new_ulid
from actors.domain.mcp import McpServerConfig
from actors.domain.usage import Spent
from tests.chaos.asking import AGAIN_S
from tests.chaos.invariants import History
from tests.chaos.load import IMPATIENT_S, WAIT_S
from tests.chaos.reader import CATCH_UP_S

PAGE = 1000

RECORDS: TypeAdapter[list[r.Record]] = TypeAdapter(list[r.Record])

SERVER = "notes"
"""An MCP server that all users share."""

SERVED = f"mcp__{SERVER}__append"

UNSAFE = frozenset({"bash", SERVED})

PERMISSIVE = {"permission_policy": {"default_decision": "allow"}}


class Web:
    """A service whose answers may get lost."""

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=30.0, trust_env=False)

    async def ask(self, method: str, path: str, *, key: str = "", **sent: Any) -> httpx.Response:
        """Send a request until there is an answer that is final: it has an identity, or changes nothing."""
        headers = {"Idempotency-Key": key} if key else {}
        while True:
            try:
                answer = await self.http.request(method, path, headers=headers, **sent)
            except httpx.TransportError:
                await asyncio.sleep(AGAIN_S)
                continue
            if answer.status_code < 429 and not _is_the_proxys(answer):
                return answer
            await asyncio.sleep(AGAIN_S)

    async def serve(self, server: McpServerConfig) -> None:
        """Let all sessions use an MCP server."""
        added = await self.ask("POST", "/v1/mcp-servers", json=server.model_dump(mode="json"))
        assert added.status_code == 201, added.text

    async def unserve(self) -> None:
        """Forget the server."""
        await self.ask("DELETE", f"/v1/mcp-servers/{SERVER}")


def _is_the_proxys(answer: httpx.Response) -> bool:
    """A proxy that has just been started again knows no routes yet, and says so in plain text: 404."""
    return answer.status_code == 404 and "json" not in answer.headers.get("content-type", "")


class WebReader:
    """Reads along as browsers do: comes back with the id of the last event whenever the way breaks."""

    def __init__(self, web: Web, session_id: str) -> None:
        self.seen: list[int] = []
        self.returned = 0
        self._web = web
        self._path = f"/v1/sessions/{session_id}/events/stream"
        self._cursor = "0"

    async def read(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                await self._follow()
            except httpx.HTTPError:
                pass
            self.returned += 1
            await asyncio.sleep(AGAIN_S)

    async def _follow(self) -> None:
        headers = {"Last-Event-ID": self._cursor}
        async with self._web.http.stream("GET", self._path, headers=headers) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("id:"):
                    self._cursor = line[3:].strip()
                elif line.startswith("data:"):
                    event: dict[str, Any] = json.loads(line[5:])
                    if "epoch" in event:
                        self.seen.append(event["seq"])

    async def caught_up(self, head: int) -> bool:
        """Whether it comes to see a record within a minute."""
        try:
            async with asyncio.timeout(CATCH_UP_S):
                while not self.seen or self.seen[-1] < head:  # noqa: ASYNC110 - nobody announces it
                    await asyncio.sleep(AGAIN_S)
        except TimeoutError:
            return False
        return True


class WebUser:
    """One session and whoever talks to it over HTTP; its unsafe tool is the shell.

    Args:
        files: Where its tool appends, to the file ``once``.
        seed: What it says, in which order.
    """

    def __init__(self, web: Web, session_id: str, files: Path, seed: int) -> None:
        self.session_id = session_id
        self.turns = 0
        self.repeated = 0
        self.steered = 0
        self.acknowledged: list[str] = []
        self.lost: list[str] = []
        self.reader = WebReader(web, session_id)
        self._web = web
        self._path = f"/v1/sessions/{session_id}"
        self._files = files
        self._random = random.Random(seed)

    @classmethod
    async def enter(cls, web: Web, session_id: str, files: Path, seed: int) -> WebUser:
        """Make the session. Every other asks about calls in doubt, the rest tell the model."""
        config = PERMISSIVE | {"on_in_doubt": "report" if seed % 2 else "ask"}
        body = {"session_id": session_id, "config": config}
        made = await web.ask("POST", "/v1/sessions", key=new_ulid(), json=body)
        assert made.status_code == 201, made.text
        return cls(web, session_id, files, seed)

    async def talk(self, over: asyncio.Event) -> None:
        """Turn after turn, until it is over; the turn under way is still waited for. Somebody reads along."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self.reader.read())
            while not over.is_set():
                await self.turn()
            head = (await self._web.ask("GET", self._path)).json()["head_seq"]
            if not await self.reader.caught_up(head):
                self.lost.append(f"what its reader waits for after record {head}")
            reading.cancel()

    async def turn(self) -> None:
        """One input, acknowledged, and its turn, ended."""
        command, word = new_ulid(), new_ulid()
        body = {"prompt": self._prompt(word)}
        try:
            async with asyncio.timeout(WAIT_S):
                if self._random.random() < 0.2:
                    await self._hang_up(command, body)
                await self._ended(command, body)
        except TimeoutError:
            self.lost.append(command)
            return
        self.turns += 1

    async def _hang_up(self, command: str, body: Mapping[str, str]) -> None:
        """Send an input, and leave before the answer is there."""
        self.repeated += 1
        try:
            async with asyncio.timeout(self._random.uniform(0.0, IMPATIENT_S)):
                await self._web.ask("POST", f"{self._path}/events", key=command, json=body)
        except TimeoutError:
            return

    async def _ended(self, command: str, body: Mapping[str, str]) -> None:
        sent = await self._web.ask("POST", f"{self._path}/events", key=command, json=body)
        while sent.status_code != 202:
            await self._put_back()
            sent = await self._web.ask("POST", f"{self._path}/events", key=command, json=body)
        self.acknowledged.append(command)
        while sent.status_code != 200:
            # The same key waits for the same turn.
            waited = {"wait": "turn", "timeout": "10"}
            sent = await self._web.ask("POST", f"{self._path}/events", key=command, json=body, params=waited)
            if sent.status_code == 202:
                await self._decide()
            elif sent.status_code != 200:
                await self._put_back()

    async def _put_back(self) -> None:
        """Killed again and again without progress, it was taken out of service."""
        await self._web.ask("POST", f"{self._path}/resume", json={})

    async def _decide(self) -> None:
        for action in (await self._web.ask("GET", f"{self._path}/actions")).json()["items"]:
            await self._web.ask("POST", f"{self._path}/actions/{action['action_id']}", json={"resolution": "skip"})

    def _prompt(self, word: str) -> str:
        path, chosen = str(self._files / "once"), self._random.random()
        if chosen < 0.3:
            return f"said {word}"
        if chosen < 0.6:
            return f"/tool {SERVED} {json.dumps({'path': path, 'word': word})}\ndone {word}"
        command = f"echo {word} >> {shlex.quote(path)}; echo {word}"
        return f"/tool bash {json.dumps({'command': command})}\ndone {word}"

    async def history(self) -> History:
        """What a reader finds at the end."""
        records: list[r.RecordBase] = []
        while True:
            after = {"after": len(records), "limit": PAGE}
            page = (await self._web.ask("GET", f"{self._path}/events", params=after)).json()["items"]
            if not page:
                break
            records += RECORDS.validate_python(page)
        actions = (await self._web.ask("GET", f"{self._path}/actions")).json()["items"]
        spent = Spent.model_validate((await self._web.ask("GET", f"{self._path}/usage")).json()["total"])
        return History(self.session_id, records, self.acknowledged, waits=bool(actions), spent=spent)

    async def children(self) -> dict[str, History]:
        """None."""
        return {}

    async def forks(self) -> list[History]:
        """None."""
        return []

    async def destroy(self) -> None:
        """Destroy the session."""
        await self._web.ask("DELETE", self._path, key=new_ulid())
