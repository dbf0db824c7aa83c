"""Boundary between the SDK and a server that is a child process: bounded, guarded, with an environment of its own.

The SDK has a transport of its own. This one differs where a server is not to be trusted: a line has an end, what is no
message is dropped and counted, what it writes to stderr is bounded, and the whole of it runs under the tools' reaper,
so that nothing is left even when this process is killed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actors.tools import reaper
from actors.tools.by_force import end_by_force, end_unguarded, wake
from actors.tools.environment import command_environment

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
"""Longest message: results of a few megabytes are met in practice, and are cut to 100 KiB here anyway."""

MAX_JUNK_LINES: Final = 1000
"""Lines that are no messages, after which the server is taken for one that does not speak the protocol."""

CHUNK_BYTES: Final = 64 * 1024
"""What is read ahead of a server: an answer waits behind no more of what it says unasked."""

STDERR_PAUSE_S: Final = 0.01
"""Between two reads of its stderr: some 6 MB/s, at which a flood costs little."""

STDERR_BYTES: Final = 4096
"""The end of what a server wrote to stderr: enough for the last lines of a traceback."""

EXIT_S: Final = 2.0
"""How long a server has to end by itself once its stdin is closed: what the SDK grants. One that is of no use any more
has no time at all: it may be writing what nobody reads."""

GONE_S: Final = 8.0
"""Longest wait for the reaper: its grace, its own 5 s for SIGKILL, and slack."""

_GRACE_MS: Final = "500"
_REAPER: Final = str(Path(reaper.__file__))


class ServerProcess:
    """A server as a child process.

    Args:
        argv: Program and arguments.
        directory: Where it starts.
        environment: Variables beside the few harmless ones of this process.

    Attributes:
        problem: Why it is of no use any more, once that is known.
        ended: Nothing of it is left.
        silent: No message will come from it any more.
    """

    def __init__(self, argv: tuple[str, ...], directory: str, environment: Mapping[str, str]) -> None:
        self.problem: str | None = None
        self.ended = asyncio.Event()
        self.silent = asyncio.Event()
        self._argv = argv
        self._directory = directory
        self._environment = command_environment(os.environ) | dict(environment)
        self._stderr = b""
        self._control = -1
        self._reaper: int | None = None
        self._closing = False
        self.input: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._pipes: list[asyncio.ReadTransport] = []
        self._files: list[FileIO] = []

    @property
    def stderr(self) -> str:
        """The end of what it wrote there, from the beginning of a line on: half a secret is not known as one."""
        begun = len(self._stderr) >= STDERR_BYTES
        end = self._stderr.partition(b"\n")[2] if begun else self._stderr
        return end.decode(errors="replace").strip()

    async def start(self) -> None:
        """Start it. That it cannot be started is told like any end: by ``problem`` and ``ended``."""
        loop = asyncio.get_running_loop()
        # Files at once: whoever is cancelled meanwhile leaves them to ``close``.
        output, errors, report = (os.fdopen(end, "rb", buffering=0) for end in self._spawn())
        given = os.fdopen(self._stdin, "wb", buffering=0)
        self._files += [output, errors, report, given]
        self._tasks.append(loop.create_task(self._follow_report(await self._reader(report))))
        self._tasks.append(loop.create_task(self._follow_stderr(await self._reader(errors))))
        self.output = await self._reader(output)
        writer, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, given)
        self.input = asyncio.StreamWriter(writer, protocol, None, loop)

    def _spawn(self) -> tuple[int, int, int]:
        """Start the reaper, which forks and is gone in 10 ms; its pipes that are read here."""
        given, self._stdin = os.pipe()
        errors, errors_end = os.pipe()
        control_end, self._control = os.pipe()
        output, output_end = os.pipe()
        report, report_end = os.pipe()
        pipes = f"{given}:{errors_end}"
        try:
            subprocess.run(
                [sys.executable, "-I", "-S", _REAPER, self._directory, _GRACE_MS, pipes, *self._argv],
                stdin=control_end,
                stdout=output_end,
                stderr=report_end,
                env=self._environment,
                pass_fds=(given, errors_end),
                start_new_session=True,
                check=False,
            )
        finally:
            for end in (given, errors_end, control_end, output_end, report_end):
                os.close(end)
        return output, errors, report

    async def _follow_report(self, stream: asyncio.StreamReader) -> None:
        server: int | None = None
        async for line in stream:
            what, _, value = line.decode(errors="replace").strip().partition(" ")
            if what == "reaper":
                self._reaper = int(value)
            elif what == "pid":
                server = int(value)
            elif what == "error":
                self.problem = f"{self._argv[0]} could not be started: {value}"
            elif what == "exit":
                server = None
                if self.problem is None and not self._closing:
                    self.problem = f"it ended with exit code {value}"
        if server is not None:
            # It has killed its reaper, and nobody else would end it.
            self.problem = self.problem or "it was killed from outside"
            end_unguarded(server)
        self.ended.set()

    async def _follow_stderr(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(CHUNK_BYTES):
            self._stderr = (self._stderr + chunk)[-STDERR_BYTES:]
            await asyncio.sleep(STDERR_PAUSE_S)

    async def _reader(self, pipe: FileIO) -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=CHUNK_BYTES, loop=loop)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream, loop=loop), pipe)
        self._pipes.append(transport)
        return stream

    async def close(self) -> None:
        """End it with all that it started; bounded. It may not have been started, or not wholly."""
        self._closing = True
        if self.input is not None:
            self.input.close()
            if self.problem is None:
                await self._ended_within(EXIT_S)
        if self._control >= 0:
            # The reaper takes the end of this pipe as the word to kill.
            os.close(self._control)
            self._control = -1
            if self._reaper is not None and not self.ended.is_set():
                # A server may have frozen it.
                wake(self._reaper)
            await self._ended_within(GONE_S)
        if self._reaper is not None and not self.ended.is_set():
            end_by_force(self._reaper)
        for task in self._tasks:
            task.cancel()
        for pipe in (*self._pipes, *self._files):
            pipe.close()

    async def _ended_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()


@asynccontextmanager
async def stdio_transport(process: ServerProcess) -> AsyncGenerator[tuple[Any, Any]]:
    """A transport of the SDK over a server's stdin and stdout; starts the process, and ends it.

    When the server ends, or does not keep to the protocol, its messages end, and ``process.problem`` says why.
    """
    import anyio

    to_session, messages = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    outgoing, from_session = anyio.create_memory_object_stream["SessionMessage"](0)
    loop = asyncio.get_running_loop()
    pumps: list[asyncio.Task[None]] = []
    try:
        await process.start()
        pumps = [loop.create_task(_read(process, to_session)), loop.create_task(_write(process, from_session))]
        yield messages, outgoing
    finally:
        for pump in pumps:
            pump.cancel()
        # A task of its own: the SDK may be leaving because it was cancelled, and this has to be done to its end.
        await _undisturbed(process.close())
        for stream in (messages, outgoing, to_session, from_session):
            stream.close()


async def _undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Do something bounded to its end; being cancelled meanwhile comes afterwards."""
    import anyio

    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as exc:
                cancelled = exc
    if cancelled is not None:
        raise cancelled


async def _read(process: ServerProcess, to_session: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
    try:
        async with to_session:
            await _read_messages(process, to_session)
    finally:
        process.silent.set()


async def _read_messages(
    process: ServerProcess, to_session: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    junk = 0
    async for line in _lines(process):
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            junk += bool(line.strip())
            if junk > MAX_JUNK_LINES:
                process.problem = "it writes to stdout what is no message of the protocol"
                return
            continue
        await to_session.send(SessionMessage(message))


async def _lines(process: ServerProcess) -> AsyncGenerator[bytes]:
    """What the server writes, line by line; ends also at a line that is too long."""
    begun = bytearray()
    while chunk := await process.output.read(CHUNK_BYTES):
        first, *more = chunk.split(b"\n")
        begun += first
        if len(begun) > MAX_LINE_BYTES:
            process.problem = f"it sent a message of more than {MAX_LINE_BYTES // 1024 // 1024} MiB"
            return
        for rest in more:
            yield bytes(begun)
            begun = bytearray(rest)


async def _write(process: ServerProcess, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async with from_session:
        async for one in from_session:
            assert process.input is not None, "it was started"
            process.input.write(one.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await process.input.drain()
